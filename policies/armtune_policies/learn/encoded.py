"""Features of episodes, kept beside them by what they are of: an encoder that takes its time sees each frame once.

Nothing else is in the files; all of them may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from armtune_policies.store.files import read_capped, write_whole
from armtune_policies.store.tensors import load_tensors

FOLDER, NAME = "features", "features"
MAX_BYTES = 1 << 31

Views = list[npt.NDArray[np.float32]]
"""Features (T, F) of an episode's images, then those of each shaken copy."""


def place(run: Path) -> Path | None:
    """Return where features of what is learnt from a run are kept; None where nothing may be written to it."""
    return Path(run) / FOLDER if Path(run).is_dir() and os.access(run, os.W_OK) else None


def once(path: Path, make: Callable[[], Views]) -> Views:
    """Return the features in a file; where it is not there or not whole, make them and, if there is room, keep them."""
    try:
        return list(load_tensors(read_capped(path, MAX_BYTES), str(path), [NAME])[NAME])
    except (OSError, KeyError, ValueError):
        made = make()
    with contextlib.suppress(OSError):
        write_whole(path, save({NAME: np.stack(made)}))
    return made
