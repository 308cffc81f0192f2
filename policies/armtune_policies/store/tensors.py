"""Safetensors files, of which the library checks most: a header of bounded size, known names, finite numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

MAX_HEADER_BYTES = 1 << 20
_HEAD = 8
"""Bytes that say how long the header is."""


def load_tensors(data: bytes, what: str, names: Iterable[str] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file.

    Args:
        data: The file.
        what: How it is called in errors.
        names: Those it may hold; None leaves them unchecked.

    Raises:
        ValueError: in one sentence: no such file, a header too large, another name, numbers that are not finite.
    """
    _check_head(data[:_HEAD], what)
    try:
        found = load(data)
    except (SafetensorError, KeyError, ValueError) as why:  # a dtype numpy lacks is a KeyError
        raise ValueError(f"{what} is not a safetensors file: {' '.join(str(why).split())[:200]}") from None
    if names is not None and (more := sorted(set(found) - set(known := sorted(names)))):
        raise ValueError(f"{what}: expected only {', '.join(known)}; got {more[0]!r}, too")
    for name, array in found.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{what}: {name} holds NaN or infinity")
    return found


def check_header(path: Path) -> None:
    """Refuse a file whose header would be parsed at length, before the library opens it.

    Raises:
        ValueError: in one sentence.
        OSError: when it cannot be read.
    """
    with open(path, "rb") as file:
        _check_head(file.read(_HEAD), str(path))


def _check_head(head: bytes, what: str) -> None:
    size = int.from_bytes(head, "little")
    if len(head) < _HEAD or not 0 < size <= MAX_HEADER_BYTES:
        raise ValueError(f"{what} is not a safetensors file: expected a header of at most {MAX_HEADER_BYTES} bytes, "
                         f"got {size if len(head) == _HEAD else 'none'}")  # fmt: skip
