"""What the arm says of itself: joint states, refused whole unless complete and finite. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import limits
from .settings import RobotParams

_BEYOND_RAD, _BEYOND_OPENING = 0.2, 0.5
"""A position further outside the limits than this is no position of this arm."""


class Joints:
    """The newest usable joint state. Ages count from arrival, never from the sender's stamp."""

    def __init__(self, robot: RobotParams) -> None:
        self._robot, self._names = robot, (*robot.joints, robot.finger_joint)
        self._low = np.array(robot.joint_lower_rad) - _BEYOND_RAD
        self._high = np.array(robot.joint_upper_rad) + _BEYOND_RAD
        self.position: NDArray[np.float64] = np.array([*robot.home_rad, robot.home_gripper])
        """Joints [rad] and opening [1], shape (dof + 1,); home before the first."""
        self.received_ns: int | None = None
        self.stamp_ns = 0
        self.refused_in_a_row = 0
        self._excused_ns = 0

    def take(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int, now_ns: int) -> str:
        """Take a joint state in any order; return "" or why it is refused."""
        why = self._refusal(names, positions)
        if why:
            self.refused_in_a_row += 1
            return why
        by_name = dict(zip(names, positions))
        q = [by_name[name] for name in self._robot.joints]
        opening = min(max(self._opening(by_name), 0.0), 1.0)
        self.position = np.array([*q, opening])
        self.received_ns, self.stamp_ns, self.refused_in_a_row = now_ns, stamp_ns, 0
        self._excused_ns = 0
        return ""

    def _refusal(self, names: Sequence[str], positions: Sequence[float]) -> str:
        if len(set(names)) != len(names) or not set(self._names) <= set(names):
            return f"expected the joints {', '.join(self._names)}, got {', '.join(names)}"
        if why := limits.unreadable(positions, len(names)):
            return f"joint state: {why}"
        by_name = dict(zip(names, positions))
        for name, low, high in zip(self._robot.joints, self._low, self._high):
            if not low <= by_name[name] <= high:
                return f"{name}: expected a position in [{low:.2f}, {high:.2f}] rad, got {by_name[name]:.3f}"
        if not -_BEYOND_OPENING <= self._opening(by_name) <= 1.0 + _BEYOND_OPENING:
            return f"{self._robot.finger_joint}: expected an opening near [0, 1], got {self._opening(by_name):.3f}"
        return ""

    def _opening(self, by_name: dict[str, float]) -> float:
        return self._robot.opening(by_name[self._robot.finger_joint])

    def excuse(self, slept_ns: int, now_ns: int) -> None:
        """Do not count a time in which nobody here could have heard; once between two joint states."""
        if self.received_ns is not None and self._excused_ns == 0:
            self._excused_ns = min(slept_ns, now_ns - self.received_ns)

    def age_s(self, now_ns: int) -> float:
        """Seconds since the newest usable joint state arrived, an excused time apart; infinite before the first."""
        return math.inf if self.received_ns is None else (now_ns - self.received_ns - self._excused_ns) / 1e9

    def stamp_age_s(self, stamp_ns: int, now_ns: int) -> float:
        """How long before now something was measured [s], on the sensors' own clock.

        Sensors stamp by a clock we need not share; the joint states' stamps carry it here.
        """
        return math.inf if self.received_ns is None else (self.stamp_ns + (now_ns - self.received_ns) - stamp_ns) / 1e9
