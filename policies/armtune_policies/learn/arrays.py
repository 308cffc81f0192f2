"""Flat arrays out of HDF5 files, as D4RL keeps them and as Minari does, as trajectories.

D4RL: ``observations`` (N, D), ``actions`` (N, A) and so on at the top. Minari: one group an episode,
``episode_0/observations`` (T + 1, D), in ``data/main_data.hdf5`` of a dataset's folder. Both keep more beside these,
which is not learnt from; what neither knows is refused: its name may be a slip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.datasets.hdf5 import MINARI
from armtune_policies.datasets.room import array_of
from armtune_policies.store.errors import BadData, needs

from .trajectory import KEYS, Trajectory, from_arrays

ENDS = {"terminals": "terminations", "timeouts": "truncations"}
EPISODE = ("observations", "actions", "rewards", *ENDS.values())
BESIDE = ("infos", "metadata")
"""What both call what was noted and is not learnt from: places of joints, who made the data."""


def read_arrays(path: Path, imitate: bool = True) -> list[Trajectory]:
    """Return the trajectories of a file, in order.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ValueError: when h5py is missing.
    """
    needs("an HDF5 file", "h5py")
    import h5py

    path = Path(path) / MINARI if (Path(path) / MINARI).is_file() else Path(path)
    try:
        file = h5py.File(path, "r")
    except OSError as why:
        raise BadData(str(path), "file", "an HDF5 file", why) from None
    with file:
        if "observations" in file:
            _check_keys(file, KEYS, str(path))
            arrays = {key: np.asarray(array_of(file, key, path)) for key in KEYS if key in file}
            return from_arrays(arrays, str(path), imitate)
        names = sorted((n for n in file if n.removeprefix("episode_").isdigit()), key=lambda n: int(n[8:]))
        if not names:
            there = ", ".join(list(file)[:6]) or "nothing"
            raise BadData(str(path), "observations", "D4RL's arrays, or Minari's episode_0 and so on", there)
        _check_keys(file, names, str(path), "Minari's episode_0 and so on")
        return [
            one
            for name in names
            for one in from_arrays(_episode(file[name], path, f"{path} {name}"), f"{path} {name}", imitate)
        ]


def _check_keys(group: Any, known: Sequence[str], source: str, expected: str = "") -> None:
    """Refuse a key that is neither known nor among what is kept ``BESIDE``."""
    if unknown := sorted(set(group) - {*known, *BESIDE}):
        raise BadData(source, unknown[0], f"one of {expected or ', '.join(known)}, {', '.join(BESIDE)}", "this key")


def _episode(group: Any, path: Path, source: str) -> dict[str, npt.NDArray[Any]]:
    """Return one of Minari's episodes as D4RL's arrays; its observations have one row more than its actions."""
    _check_keys(group, EPISODE, source)
    for key in EPISODE[:3]:
        if not hasattr(group.get(key), "shape"):
            got = ", ".join(group[key]) if key in group else "none"
            raise BadData(source, key, "one array (spaces of several parts are not read)", got)
        array_of(group, key, path)
    seen, steps = np.asarray(group["observations"]), len(group["actions"])
    if len(seen) != steps + 1:
        raise BadData(source, "observations", f"{steps + 1} rows for {steps} actions", len(seen))
    ends = {ours: np.asarray(group[theirs]) for ours, theirs in ENDS.items() if theirs in group}
    return {
        "observations": seen[:-1],
        "next_observations": seen[1:],
        "actions": np.asarray(group["actions"]),
        "rewards": np.asarray(group["rewards"]),
        "terminals": ends.get("terminals", np.zeros(steps, bool)),
        **({"timeouts": ends["timeouts"]} if "timeouts" in ends else {}),
    }
