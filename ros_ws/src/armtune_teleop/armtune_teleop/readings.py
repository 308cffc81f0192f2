"""Readings from Joy messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .keys import NAMES
from .table import Reading


def of_joy(kind: str, axes: Sequence[float], buttons: Sequence[int], opening: float | None = None) -> Reading:
    """Return ``axis0 ... button0 ...``; of a keyboard the names of the keys; with ``opening`` that of a leader arm."""
    if kind == "keyboard":
        return {name: float(value) for name, value in zip(NAMES, buttons)}
    reading = {f"axis{place}": float(value) for place, value in enumerate(axes)}
    reading |= {f"button{place}": float(value) for place, value in enumerate(buttons)}
    return reading if opening is None else {**reading, "opening": opening}
