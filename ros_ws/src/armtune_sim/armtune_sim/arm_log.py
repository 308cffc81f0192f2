"""What the arm itself was told and did, tick by tick: evidence that does not come from the stack it judges."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from armtune_policies.store.series import Series

Source = Literal["setpoint", "hold", "reset"]
FLUSH_TICKS = 10
"""A kill -9 loses at most 100 ms of the log."""


def columns(width: int) -> tuple[str, ...]:
    """Return the header of a log of ``width`` numbers each: joints [rad], then the opening 0..1."""
    numbered = [f"{what}{i}" for what in "sm" for i in range(width)]
    return ("steady_ns", "sim_ns", "source", *numbered)


class ArmLog:
    """One row a tick: what the controller followed, and where the arm was after it.

    A disk that refuses ends the log, not the arm; ``error`` says so.

    Raises:
        ValueError, OSError: when the file cannot be begun or continued.
    """

    def __init__(self, path: Path, width: int) -> None:
        self.error = ""
        self._series: Series | None = Series(path, columns(width), every=FLUSH_TICKS)

    def tick(self, sim_ns: int, source: Source, setpoint: NDArray[np.float64], measured: NDArray[np.float64]) -> None:
        """Note a tick that ends at ``sim_ns``; setpoint and measured have shape (width,)."""
        if self._series is None:
            return
        row = (time.monotonic_ns(), sim_ns, source, *setpoint.tolist(), *measured.tolist())
        try:
            self._series.append(row)
        except OSError as why:
            self.error, self._series = f"arm log ended: {why}", None

    def close(self) -> None:
        """Write what is left; never raises."""
        series, self._series = self._series, None
        try:
            if series is not None:
                series.close()
        except OSError as why:
            self.error = f"arm log ended: {why}"
