"""What a person may tune about recording."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, choice, num, text

COMPRESSIONS = ("raw", "jpeg", "h264", "hevc")


@dataclass(frozen=True, kw_only=True)
class RecorderParams(Checked):
    """How episodes are recorded."""

    disk_floor_mb: int = num(500, low=10, high=10_000_000, doc="no new episode is recorded with less free disk [MB]")
    close_wait_s: float = num(2.0, low=0.1, high=60.0, doc="wait so long for missing parts after an episode ended [s]")
    sync: str = choice("step", of=("step", "episode"), doc="force to disk each step, or a finished episode only")
    evidence: bool = text(True, doc="keep the full-size view of each camera")
    every_frame: bool = text(False, doc="all its frames; without, the newest at each step")
    compression: str = choice("jpeg", of=COMPRESSIONS, doc="of full-size views; benchmarks: armtune bench record")
    jpeg_quality: int = num(85, low=30, high=100, doc="where they are JPEGs")
    ring_s: float = num(
        30.0, low=0.0, high=600.0, doc="so much is saved when the gate latches something [s]; 0: nothing"
    )
    ring_mb: int = num(256, low=1, high=65_536, doc="at most so much of it is kept in memory [MB]")
