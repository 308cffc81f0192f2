"""robomimic's HDF5 files: ``data/demo_0/obs/<key>``, ``data/demo_0/actions`` (robomimic's dataset documentation)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.store.errors import BadData, needs

from .contract_file import Contract
from .foreign import RawEpisode, checked_frames
from .hdf5 import SUFFIXES
from .room import array_of


def is_hdf5(path: Path) -> bool:
    """Return whether this is an HDF5 file by its name."""
    return path.is_file() and path.suffix in SUFFIXES


class Robomimic:
    """One file; demonstrations in the order of their numbers."""

    def __init__(self, path: Path, contract: Contract) -> None:
        needs("a robomimic file", "h5py")
        self.path, self.contract, self.source, self.left_out = Path(path), contract, str(path), 0

    def episodes(self, first: int = 0) -> Iterator[RawEpisode]:
        import h5py

        try:
            file = h5py.File(self.path, "r")
        except OSError as why:
            raise BadData(self.source, "file", "an HDF5 file", why) from None
        with file:
            if "data" not in file:
                there = ", ".join(list(file)[:6]) or "nothing"
                raise BadData(self.source, "data", "robomimic's group of demonstrations",
                              f"{there}; flat arrays go to `armtune pretrain` as they are")  # fmt: skip
            group = file["data"]
            names = sorted((n for n in group if n.removeprefix("demo_").isdigit()), key=lambda n: int(n[5:]))
            for name in names[first:]:
                yield self._episode(group[name], f"{self.path} {name}")

    def _episode(self, demo: Any, source: str) -> RawEpisode:
        arrays = {}
        for key in self.contract.keys:
            if key in demo:
                arrays[key] = np.asarray(array_of(demo, key, self.path))
        images = {}
        for camera, key in self.contract.images.items():
            if key not in demo:
                there = [f"obs/{name}" for name in demo.get("obs", {}) if np.ndim(demo["obs"][name]) == 4]
                raise BadData(source, key, "pictures of this camera", f"none; there are {', '.join(there) or 'none'}")
            images[camera] = list(checked_frames(array_of(demo, key, self.path), source, key))
        return RawEpisode(source, arrays, images)
