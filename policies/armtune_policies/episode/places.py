"""Where the demonstrations of a run took hold: read off their files once, kept beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from armtune_policies.contract import DIRECTIONS
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
    names, kept = [path.stem for path in paths], Path(run_folder) / KEPT
    value = read_json(kept) if kept.is_file() else {}
    if not isinstance(value, dict) or value.get("episodes") != names:
        value = {"episodes": names, "grasps_m": _read(paths)}
        write_json(kept, value)
    return {way: [np.array(at, float) for at in value["grasps_m"][way]] for way in DIRECTIONS}


def _read(paths: list[Path]) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {way: [] for way in DIRECTIONS}
    for path in paths:
        episode = read_kept(path)
        rows = episode.complete
        at: Floats | None = None
        if episode.outcome == SUCCESS and rows.any():
            at = shut_at(episode.state[rows], episode.allowed[rows, -1])
        if at is not None and episode.direction in found:
            found[episode.direction].append([float(number) for number in at])
    return found
