"""How sure a success rate is, from how many episodes. Pure."""

from __future__ import annotations

import math

Z_95 = 1.959964


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a rate (Wilson 1927): honest near 0 and 1, and with few episodes.

    Raises:
        ValueError: unless 0 <= successes <= count and count > 0.
    """
    if not (count > 0 and 0 <= successes <= count):
        raise ValueError(f"expected 0 <= successes <= count and count > 0, got {successes} of {count}")
    rate, square = successes / count, Z_95 * Z_95 / count
    centre = (rate + square / 2) / (1 + square)
    half = Z_95 / (1 + square) * math.sqrt(rate * (1 - rate) / count + square / (4 * count))
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return min(low, rate), max(high, rate)  # rounding left the rate of 50 of 50 outside
