"""How much memory a file may ask for: a small one that claims to hold much more is a bomb."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode

from armtune_policies.store.errors import BadData

LEAST_BYTES, TIMES = 1 << 28, 200
SHARE = 0.5
"""Of the memory that is available."""
MEMORY = Path("/proc/meminfo")
_MAGIC_BYTES, _HEAD, _CHUNK = 8, struct.Struct("<BQ"), struct.Struct("<QQQ")
"""Of MCAP: a record's kind and length; a chunk's first and last time and the bytes it holds."""


def check_room(claimed_bytes: int, path: Path, key: str) -> None:
    """Refuse what is both large and hundreds of times its file, and what would leave others no memory.

    Raises:
        BadData: naming the file and what of it.
    """
    most, free = max(LEAST_BYTES, TIMES * Path(path).stat().st_size), SHARE * _available_bytes()
    if claimed_bytes > most:
        raise BadData(str(path), key, f"at most {most} bytes in a file of its size", f"a claim of {claimed_bytes}")
    if claimed_bytes > free:
        raise BadData(
            str(path), key, f"at most half of the free memory, {free:.0f} bytes", f"a claim of {claimed_bytes}"
        )


def array_of(group: Any, key: str, path: Path) -> Any:
    """Return an HDF5 dataset of a group when what it claims has room.

    Raises:
        BadData: when it has not.
    """
    found = group[key]
    if hasattr(found, "shape"):
        check_room(_bytes(found.shape, found.dtype.itemsize), path, key)
    return found


def check_chunks(path: Path) -> None:
    """Refuse an MCAP file of which a compressed chunk claims to hold far more than it is.

    Raises:
        BadData: naming the file.
        OSError: when it cannot be read.
    """
    left = Path(path).stat().st_size - _MAGIC_BYTES
    with open(path, "rb") as file:
        file.seek(_MAGIC_BYTES)
        while left >= _HEAD.size:
            opcode, size = _HEAD.unpack(file.read(_HEAD.size))
            left -= _HEAD.size + size
            if left < 0:
                return  # torn: its reader says so
            if opcode == Opcode.CHUNK and size >= _CHUNK.size:
                check_room(_CHUNK.unpack(file.read(_CHUNK.size))[2], path, "chunk")
                size -= _CHUNK.size
            file.seek(size, os.SEEK_CUR)


def _available_bytes() -> float:
    """What the system can give without swapping, without bound where it does not say; proc_meminfo(5)."""
    lines = MEMORY.read_text(encoding="ascii").splitlines() if MEMORY.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), math.inf)


def _bytes(shape: Sequence[int] | None, width: int) -> int:
    return math.prod(shape or ()) * width
