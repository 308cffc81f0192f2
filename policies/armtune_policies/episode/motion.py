"""The arm's own ways between episodes: home, and along a route. Pure; a caller proposes what comes out.

Both answer one control period after another, from what is measured then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .home import is_near

Floats = npt.NDArray[np.floating]

THERE_M, NEARER_M = 0.015, 0.005
"""... or when a period brought the hand nearer by less."""
GRIPPED = 0.02
"""The hand is as told, or grips something, when a period changed its opening by less."""
HELD = 0.12
"""A hand told to shut that stays further open than this holds something."""


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


class Leg(NamedTuple):
    """A part of a route: a tool position to pass, and what the hand is told on the way there."""

    at_m: tuple[float, float, float]
    opening: float = 0.0
    near_m: float = THERE_M
    """It is there when it is so near ..."""
    holds: bool = False
    """The route ends with this leg where the hand has nothing in it then."""


def pushing(points_m: Floats) -> tuple[Leg, ...]:
    """Return the legs of a shut hand along tool positions [m], (N, 3)."""
    return tuple(Leg((float(x), float(y), float(z))) for x, y, z in points_m)


class Route:
    """Tool deltas that bring the hand along legs; what it cannot come near is passed by.

    Args:
        legs: In order.
        low: Bounds of a tool delta, (7,).
        high: The same.
    """

    def __init__(self, legs: Sequence[Leg], low: Sequence[float], high: Sequence[float]) -> None:
        self._legs, self._low, self._high = list(legs), np.asarray(low), np.asarray(high)
        self._last_m = self._last_opening = np.inf
        self.passed: list[Floats] = []
        """The state (7,) at the end of each leg."""

    def delta(self, state: Floats) -> Floats | None:
        """Return the next period's tool delta (7,) from ``observation.state`` (7,); None when all legs are over."""
        while self._legs:
            leg, opening = self._legs[0], float(state[-1])
            gap = np.asarray(leg.at_m) - state[:3]
            far_m = float(np.linalg.norm(gap))
            moves = leg.near_m < far_m < self._last_m - NEARER_M
            grips = abs(opening - leg.opening) > GRIPPED < abs(opening - self._last_opening)
            if moves or grips:
                self._last_m, self._last_opening = far_m, opening
                return np.clip([*gap, 0.0, 0.0, 0.0, leg.opening], self._low, self._high)
            self.passed.append(np.array(state, float))
            self._legs = [] if leg.holds and opening < HELD else self._legs[1:]
            self._last_m = self._last_opening = np.inf
        return None
