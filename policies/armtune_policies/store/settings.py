"""What a person may tune about recording."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, num, text


@dataclass(frozen=True, kw_only=True)
class RecorderParams(Checked):
    """How episodes are recorded."""

    disk_floor_mb: int = num(500, low=10, high=10_000_000, doc="no new episode is recorded with less free disk [MB]")
    close_wait_s: float = num(2.0, low=0.1, high=60.0, doc="wait so long for missing parts after an episode ended [s]")
    evidence: bool = text(True, doc="keep the full-size view of each camera, one JPEG a step")
    jpeg_quality: int = num(85, low=30, high=100, doc="of those JPEGs")
