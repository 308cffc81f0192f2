"""The statistics a LeRobot v3 folder carries: exact ones, where lerobot itself estimates from samples.

Per feature: min, max, mean, std (of the population), count, and the quantiles q01 q10 q50 q90 q99;
of pictures per channel, on 0..1, in shape (3, 1, 1), as lerobot 0.4's ``compute_stats`` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
LEVELS = 256
Stats = dict[str, list[Any]]


class Histogram:
    """How often each channel of uint8 pictures has each value: all their statistics follow from it, exactly."""

    def __init__(self) -> None:
        self.counts = np.zeros((3, LEVELS), np.int64)
        self.frames = 0

    def add(self, frames: npt.NDArray[np.uint8]) -> None:
        """Count pictures, (T, H, W, 3)."""
        self.frames += len(frames)
        for channel in range(3):
            self.counts[channel] += np.bincount(frames[..., channel].reshape(-1), minlength=LEVELS)

    def merge(self, other: Histogram) -> None:
        self.frames += other.frames
        self.counts += other.counts

    def stats(self) -> Stats:
        levels = np.arange(LEVELS) / (LEVELS - 1)
        total = self.counts.sum(axis=1)
        mean = self.counts @ levels / total
        found = {
            "min": np.array([levels[np.flatnonzero(row)[0]] for row in self.counts]),
            "max": np.array([levels[np.flatnonzero(row)[-1]] for row in self.counts]),
            "mean": mean,
            "std": np.sqrt(np.maximum(self.counts @ levels**2 / total - mean**2, 0.0)),
        }
        below = self.counts.cumsum(axis=1)
        for name, share in QUANTILES.items():
            found[name] = levels[(below < share * total[:, None]).sum(axis=1).clip(max=LEVELS - 1)]
        shaped = {name: value.reshape(3, 1, 1).tolist() for name, value in found.items()}
        return {**shaped, "count": [self.frames]}


def column_stats(values: npt.NDArray[Any]) -> Stats:
    """Return the statistics of a column, (T,) or (T, D); booleans count as 0 and 1."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    found = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    found |= dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0)))
    return {**{name: value.tolist() for name, value in found.items()}, "count": [len(rows)]}


def flat(stats: Mapping[str, Stats]) -> dict[str, list[Any]]:
    """Return statistics as the columns of ``meta/episodes``: ``stats/<feature>/<name>``."""
    return {f"stats/{key}/{name}": value for key, some in stats.items() for name, value in some.items()}
