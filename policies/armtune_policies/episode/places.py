"""Where demonstrations took hold: read off a run's files once and kept beside them, or beside a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.nouns import SUCCESS

from .memory import Floats, Grasps
from .nudge import shut_at

KEPT = "grasps.json"


def demonstrated(run_folder: Path) -> Grasps:
    """Return where the successes of a run took hold, by direction; from ``grasps.json`` where it is of these files.

    Raises:
        ValueError: when an episode file is not what it should be.
    """
    paths = list(kept_paths(run_folder))
    names = [path.stem for path in paths]
    if _said(run_folder).get("episodes") != names:
        keep(run_folder, _read(paths), names)
    return kept_in(run_folder)


def keep(folder: Path, grasps: Grasps, episodes: Sequence[str] = ()) -> None:
    """Keep places in a folder, and of which episode files they are, where they were read off files."""
    at_m = {way: [[float(number) for number in at] for at in grasps[way]] for way in DIRECTIONS}
    write_json(Path(folder) / KEPT, {"episodes": list(episodes), "grasps_m": at_m})


def kept_in(folder: Path) -> Grasps:
    """Return the places kept in a folder; none where nothing was.

    Raises:
        ValueError: when the file is not what it should be.
    """
    said = _said(folder).get("grasps_m", {way: [] for way in DIRECTIONS})
    try:
        return {way: list(np.array(said[way], float).reshape(len(said[way]), 3)) for way in DIRECTIONS}
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{Path(folder) / KEPT}: expected places of three numbers by direction; remove it") from None


def _said(folder: Path) -> dict[str, Any]:
    path = Path(folder) / KEPT
    value = read_json(path) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _read(paths: list[Path]) -> Grasps:
    found: dict[Direction, list[Floats]] = {way: [] for way in DIRECTIONS}
    for path in paths:
        episode = read_kept(path)
        rows = episode.complete
        at: Floats | None = None
        if episode.outcome == SUCCESS and rows.any():
            at = shut_at(episode.state[rows], episode.allowed[rows, -1])
        if at is not None and episode.direction in found:
            found[episode.direction].append(at)
    return found
