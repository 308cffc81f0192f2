"""Does a run hold what it says? Every file read, every step looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .combine import Alike
from .edits import read_edit
from .episode_reader import Episode, list_episodes, read_episode
from .episode_writer import PART
from .files import is_held
from .labels import read_labels
from .lacking import lacking
from .mcap_scan import checksums
from .rate import measured_hz

LATE = 1.5
"""A step that took this many median periods is a gap."""


@dataclass
class Checked:
    """What was found out about one episode file."""

    episode: str
    steps: int = 0
    outcome: str = ""
    rate_hz: float = 0.0
    missing: int = 0
    """Steps that lack observation or decision."""
    gaps: int = 0
    """Steps that came late by the cameras' stamps, or at a stamp that went back."""
    is_dropped: bool = False
    wrong: list[str] = field(default_factory=list)
    """What has to be mended."""
    doubtful: list[str] = field(default_factory=list)
    """What a person should look at."""


def check_run(run: Path) -> list[Checked]:
    """Look at every episode of a run; the ``.part`` files that nobody salvaged come last.

    Raises:
        BadData: when there is none.
    """
    alike, found = Alike(), []
    for path in list_episodes(run):
        one = Checked(path.stem)
        found.append(one)
        try:
            one.is_dropped = read_edit(run, path.stem).is_dropped
            said, has = checksums(path)
            if said not in (0, has):
                one.wrong.append("bytes changed after it was written: its checksum is another")
            episode = read_episode(path)
            _look(episode, one)
            _look_beside(run, episode, one)
            if not one.is_dropped:
                alike.check(episode)
        except (ValueError, OSError) as why:
            one.wrong.append(str(why).removeprefix(f"{path}: "))
        if one.is_dropped:  # nobody reads it
            one.wrong, one.doubtful = [], one.wrong + one.doubtful
    for part in sorted((Path(run) / "episodes").glob(f"*.mcap{PART}")):
        name = part.name.removesuffix(f".mcap{PART}")
        live = is_held(part)
        found.append(Checked(name, wrong=[] if live else ["unfinished: add --salvage"],
                             doubtful=["is being recorded now"] if live else []))  # fmt: skip
    if not found:
        raise lacking(run)
    return found


def _look(episode: Episode, one: Checked) -> None:
    one.steps, one.outcome = episode.steps, episode.outcome
    one.rate_hz = round(measured_hz(episode) or 0.0, 2)
    one.missing = int((~episode.complete).sum())
    steps = np.flatnonzero(episode.complete)
    gaps_ns = np.diff(episode.stamps_ns[steps])[np.diff(steps) == 1]
    if len(gaps_ns):
        one.gaps = int(((gaps_ns > LATE * np.median(gaps_ns)) | (gaps_ns <= 0)).sum())
        if (gaps_ns <= 0).any():
            one.doubtful.append("a camera's stamp stands still or goes back")
    if episode.episode_id != one.episode:
        one.wrong.append(f"expected a file named {episode.episode_id}.mcap, got {one.episode}.mcap; rename it")
    if not episode.images:
        one.doubtful.append("no pictures")
    if one.missing:
        one.doubtful.append(f"{one.missing} of {one.steps} steps lack a part")
    if one.gaps:
        one.doubtful.append(f"{one.gaps} steps came late")
    for name in ("state", "allowed"):
        odd = np.flatnonzero(episode.complete & ~np.isfinite(getattr(episode, name)).all(axis=1))
        if len(odd):
            one.wrong.append(f"{name}: expected finite numbers in whole steps, got others in step {odd[0]}")
    for camera, frames in episode.images.items():
        still = [k for k in np.flatnonzero(episode.complete[1:]) if (frames[k] == frames[k + 1]).all()]
        if len(still) > max(3, one.steps // 2):
            one.doubtful.append(f"camera {camera} shows the same picture in {len(still)} steps")


def _look_beside(run: Path, episode: Episode, one: Checked) -> None:
    for path in sorted((Path(run) / "labels" / episode.episode_id).glob("*.json")):
        labels = read_labels(run, episode, path.stem)
        if len(labels.verdicts) != episode.steps:
            one.wrong.append(f"labels {path.stem}: expected {episode.steps} steps, got {len(labels.verdicts)}")
