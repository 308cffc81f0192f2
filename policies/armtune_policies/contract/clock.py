"""Time is asked for, never taken: ages use arrival on a steady clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Anything that can say what time it is, in nanoseconds."""

    def now_ns(self) -> int: ...


class SteadyClock:
    """The machine's monotonic clock: never jumps, no relation to the wall."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


@dataclass
class ManualClock:
    """A clock that is set by hand: simulated time in lockstep, and tests."""

    t_ns: int = 0

    def now_ns(self) -> int:
        return self.t_ns

    def set_ns(self, t_ns: int) -> None:
        self.t_ns = t_ns

    def advance(self, seconds: float) -> None:
        self.t_ns += round(seconds * 1e9)
