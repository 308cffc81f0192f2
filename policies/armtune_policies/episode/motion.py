"""The arm's own ways between episodes: home, and along the strokes of a nudge. Pure; a caller proposes what comes out.

Both answer one control period after another, from what is measured then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .home import is_near

Floats = npt.NDArray[np.floating]

THERE_M, NEARER_M = 0.015, 0.005
"""A point is passed when it is so near, or when a period brought the hand nearer by less."""


class WayHome:
    """Joint targets: the hand lets go of what it holds where it is, then the arm goes home.

    Carried along, a thing would end under the home pose after every failure, where no demonstration begins.

    Args:
        home: Joints [rad] and opening 0..1 at home, (dof + 1,).
        tolerance_rad: At a target when every joint is this near ...
        tolerance_gripper: ... and the opening this near.
        patience: Periods that letting go may take; a hand that cannot open goes home all the same.
    """

    def __init__(self, home: Sequence[float], tolerance_rad: float, tolerance_gripper: float, patience: int) -> None:
        self._home, self._patience = np.asarray(home, float), patience
        self._tolerances = tolerance_rad, tolerance_gripper
        self._letting_go: Floats | None = None

    def is_there(self, measured: Floats) -> bool:
        """Whether the arm is at home; NaN is not."""
        return self._is_at(measured, self._home)

    def target(self, measured: Floats) -> Floats:
        """Return where the joints are to go in the next period, (dof + 1,)."""
        if self._letting_go is None:
            self._letting_go = np.append(measured[:-1], self._home[-1])
        if self._patience and self._is_at(measured, self._letting_go):
            self._patience = 0
        if not self._patience:
            return self._home
        self._patience -= 1
        return self._letting_go

    def _is_at(self, measured: Floats, target: Floats) -> bool:
        rad, gripper = self._tolerances
        at, wanted = measured.tolist(), target.tolist()
        return is_near(at[:-1], wanted[:-1], rad) and is_near(at[-1:], wanted[-1:], gripper)


class Strokes:
    """Tool deltas that bring the shut hand along points; what it cannot come near is passed by.

    Args:
        points_m: Tool positions to pass [m], (N, 3).
        low: Bounds of a tool delta, (7,).
        high: The same.
    """

    def __init__(self, points_m: Floats, low: Sequence[float], high: Sequence[float]) -> None:
        self._points, self._low, self._high = list(points_m), np.asarray(low), np.asarray(high)
        self._last_m = np.inf

    def delta(self, position_m: Floats) -> Floats | None:
        """Return the next period's tool delta (7,) from the tool's position (3,); None when all points are passed."""
        while self._points:
            gap = self._points[0] - position_m
            far_m = float(np.linalg.norm(gap))
            if THERE_M < far_m < self._last_m - NEARER_M:
                self._last_m = far_m
                return np.clip([*gap, 0.0, 0.0, 0.0, 0.0], self._low, self._high)
            self._points, self._last_m = self._points[1:], np.inf
        return None
