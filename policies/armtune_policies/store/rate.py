"""At how many steps per second episodes were recorded; sets of another rate are refused, not mixed."""

from __future__ import annotations

import numpy as np

from .episode_reader import Episode
from .errors import BadData

NEAR = 0.1
"""A median period this share off the nominal one is the same rate: cameras jitter, rates differ by more."""
WHOLE = 0.02
"""A measured rate this share off a whole number is that number; 7.5 is not 8."""


def measured_hz(episode: Episode) -> float | None:
    """Return the median rate of an episode's steps, None when it has fewer than three."""
    steps = np.flatnonzero(episode.complete)
    stamps = episode.stamps_ns[steps]
    gaps = np.diff(stamps)[np.diff(steps) == 1]
    if len(gaps) < 2 or not np.median(gaps) > 0:
        return None
    return float(1e9 / np.median(gaps))


class OneRate:
    """Learns the rate from the first episode that tells it and refuses another one.

    Args:
        nominal_hz: What it must be; None for what the first episode has.
    """

    def __init__(self, nominal_hz: float | None = None) -> None:
        self.nominal_hz, self._by = nominal_hz, "what was asked"

    def check(self, episode: Episode) -> None:
        """Compare an episode.

        Raises:
            BadData: with both rates.
        """
        found = measured_hz(episode)
        if found is None:
            return
        if self.nominal_hz is None:
            near = max(float(round(found)), 1.0)
            self.nominal_hz = near if abs(found / near - 1.0) <= WHOLE else round(found, 2)
            self._by = str(episode.path)
        if not abs(found / self.nominal_hz - 1.0) <= NEAR:
            wanted = f"{self.nominal_hz:g} steps a second as in {self._by}"
            raise BadData(str(episode.path), "stamps", wanted, f"{found:.3g}; keep unlike rates in sets of their own")
