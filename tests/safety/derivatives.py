"""How fast, and how suddenly, a sampled path moves.

Setpoints are positions, so bounds are checked on divided differences: k! times the one over
k + 1 samples is a weighted mean of the k-th derivative between them, however long the ticks
are. It exceeds no bound that the derivative keeps.
"""

from __future__ import annotations

import math

import numpy as np

RELATIVE_SLACK = 1e-6


def worst(at_s: np.ndarray, path: np.ndarray, bounds: tuple[np.ndarray, ...]) -> list[float]:
    """Return the largest part of its bound that speed, acceleration, jerk take; ``path`` has shape (n, joints)."""
    parts, difference = [], path
    for order, bound in enumerate(bounds, start=1):
        difference = np.diff(difference, axis=0) / (at_s[order:] - at_s[:-order])[:, None]
        parts.append(float(np.max(np.abs(difference) * math.factorial(order) / bound)))
    return parts


def assert_kept(at_s: np.ndarray, path: np.ndarray, bounds: tuple[np.ndarray, ...]) -> None:
    """Fail if a path is not finite or exceeds its bounds of speed, acceleration and jerk."""
    assert np.all(np.isfinite(path))
    for name, part in zip(("speed", "acceleration", "jerk"), worst(at_s, path, bounds)):
        assert part <= 1 + RELATIVE_SLACK, f"{name}: {part:.7f} of its bound"
