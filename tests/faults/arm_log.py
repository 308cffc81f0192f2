"""The simulated arm's own log: how fast it moved, and when it came to rest."""

from __future__ import annotations

import time
from bisect import bisect_left
from pathlib import Path

import numpy as np

RESTING_RAD_S = 0.03
"""No joint faster than this: at rest."""
SETTLED_NS = 200_000_000
"""For so long it must stay at rest to count."""
SPAN = 5
"""Ticks over which a speed is taken: one tick's difference is mostly rounding."""


class ArmLog:
    """Reads ``arm.csv`` as it grows. Times are steady nanoseconds, speeds the fastest joint's [rad/s]."""

    def __init__(self, path: Path, joints: int = 6) -> None:
        self._path, self._joints, self._offset = path, joints, 0
        self._columns: list[str] = []
        self._rows: list[tuple[float, ...]] = []
        self._stamps: list[int] = []

    def _read(self) -> None:
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            words = line.split(",")
            if words[0] == "steady_ns":
                self._columns = words
                first = words.index("m0")
                self._measured = slice(first, first + self._joints + 1)
            else:
                self._stamps.append(int(words[0]))
                self._rows.append(tuple(float(word) for word in words[self._measured]))

    def measured(self, since_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times (n,) [ns] and measured joints (n, joints) [rad] from ``since_ns`` on."""
        self._read()
        first = max(0, bisect_left(self._stamps, since_ns) - SPAN)
        return np.array(self._stamps[first:], dtype=np.int64), np.array(self._rows[first:]).reshape(
            -1, self._joints + 1
        )[:, : self._joints]

    def opening(self, since_ns: int) -> np.ndarray:
        """Return the measured openings of the gripper (n,) 0..1 from ``since_ns`` on."""
        self._read()
        return np.array([row[-1] for t_ns, row in zip(self._stamps, self._rows) if t_ns >= since_ns])

    def speeds(self, since_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times (n,) [ns] and the fastest joint's speed (n,) [rad/s] over the ticks before each."""
        stamps, q = self.measured(since_ns)
        if len(stamps) <= SPAN:
            return np.zeros(0, np.int64), np.zeros(0)
        took_s = (stamps[SPAN:] - stamps[:-SPAN]) / 1e9
        return stamps[SPAN:], np.max(np.abs(q[SPAN:] - q[:-SPAN]), axis=1) / np.maximum(took_s, 1e-3)

    def speed(self) -> float:
        """Return how fast the arm moves now [rad/s], 0.0 when the log says nothing new."""
        _, speeds = self.speeds(time.monotonic_ns() - 100_000_000)
        return float(speeds[-1]) if len(speeds) else 0.0

    def rest_ns(self, since_ns: int) -> int | None:
        """Return when the arm came to rest for ``SETTLED_NS`` after a moment; None when it has not."""
        stamps, speeds = self.speeds(since_ns)
        last_moving = np.flatnonzero(~(speeds < RESTING_RAD_S))
        if not len(stamps):
            return None
        rest = stamps[last_moving[-1]] if len(last_moving) else since_ns
        return int(rest) if stamps[-1] - rest >= SETTLED_NS else None

    def last_motion_ns(self, since_ns: int) -> int:
        """Return when the arm last moved since a moment, in a log that has ended."""
        stamps, speeds = self.speeds(since_ns)
        moving = np.flatnonzero(~(speeds < RESTING_RAD_S))
        return int(stamps[moving[-1]]) if len(moving) else since_ns

    def moved_rad(self, since_ns: int, until_ns: int) -> float:
        """Return how far any joint was from where it was at ``since_ns``, until ``until_ns``."""
        stamps, q = self.measured(since_ns)
        within = (stamps >= since_ns) & (stamps <= until_ns)
        return float(np.max(np.abs(q[within] - q[within][0]))) if within.any() else 0.0
