"""Whether the arm is at home. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def is_near(measured: Sequence[float], target: Sequence[float], tolerance: float) -> bool:
    """Whether each number is within ``tolerance`` of its target; NaN is not, nor is another length."""
    return len(measured) == len(target) and all(abs(m - t) <= tolerance for m, t in zip(measured, target))
