"""What the arm's controller does with setpoints: refuse bad ones, follow good ones, hold in silence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .settings import RobotParams

Array = NDArray[np.float64]
SILENT_NS = 100_000_000
JITTER_NS = 20_000_000
"""How much earlier than its turn a setpoint may come: two ticks of the gate."""
_AFTER_HOLD_NS = 40_000_000
"""However long it has held: the first setpoint must be near the arm."""
_SPEED_SLACK, _JOINT_SLACK_RAD, _OPENING_SLACK = 1.2, 1e-6, 0.05
"""The fingers' slack is for a setpoint that was put where a squeezing hand was measured; it is clamped then."""


def in_order(robot: RobotParams, names: Sequence[str], positions: Sequence[float]) -> Array:
    """Return joints [rad] in the robot's order and the opening, shape (dof + 1,); nothing is clamped.

    Raises:
        ValueError: for other joints than the robot's, or a number that is not finite.
    """
    wanted = (*robot.joints, robot.finger_joint)
    if sorted(names) != sorted(wanted) or len(positions) != len(wanted):
        raise ValueError(f"setpoint: expected one position each for {', '.join(wanted)}; got {', '.join(names)}")
    if not np.isfinite(positions).all():
        raise ValueError("setpoint: expected finite positions")
    by_name = dict(zip(names, positions))
    return np.array([*(by_name[name] for name in robot.joints), robot.opening(by_name[robot.finger_joint])])


def path(
    robot: RobotParams, names: Sequence[str], points: Sequence[Sequence[float]], count: int | None = None
) -> list[Array]:
    """Return the points of a trajectory as ``in_order`` does, each (dof + 1,).

    Raises:
        ValueError: when one of them will not do, or there are not ``count`` (any number but 0).
    """
    if not points or (count is not None and len(points) != count):
        raise ValueError(f"setpoint: expected {count or 'one or more'} points, got {len(points)}")
    return [in_order(robot, names, point) for point in points]


class Follower:
    """The newest setpoint within the robot's limits, or where the arm was when they fell silent.

    Speed is judged by a budget of motion at the joints' limits: it fills as time passes since
    the last setpoint followed (a fifth faster than time, for clocks that differ), keeps what
    ``JITTER_NS`` can explain, and every setpoint followed spends its way. So neither one
    setpoint nor a flood of small ones is faster than the limits.

    Args:
        robot: Whose limits are enforced.
        silent_ns: Silence after which the arm holds where it is.
    """

    def __init__(self, robot: RobotParams, silent_ns: int = SILENT_NS) -> None:
        self._silent_ns, self._names = silent_ns, (*robot.joints, robot.finger_joint)
        slack = np.array([_JOINT_SLACK_RAD] * robot.dof + [_OPENING_SLACK])
        self._low = np.array([*robot.joint_lower_rad, 0.0]) - slack
        self._high = np.array([*robot.joint_upper_rad, 1.0]) + slack
        self._speed = np.array([*robot.joint_velocity_rad_s, robot.gripper_velocity_1_s])
        self._last = np.array([*robot.home_rad, robot.home_gripper])
        self._hand = self._last[-1]
        """Where the hand was measured as it began to hold: it may be taken up from there, or from where it was told."""
        self._since_ns, self._spare_ns = 0, float(JITTER_NS)
        self.holds = True
        """Whether the arm holds because nothing was heard in time."""
        self.refused = 0
        """Setpoints refused for the limits so far."""

    def take(self, setpoint: Array, now_ns: int) -> None:
        """Hear a setpoint (dof + 1,) at a time [ns] of a steady clock.

        Raises:
            ValueError: when it is outside the limits or asks for more speed; the last one stands.
        """
        self.take_all([setpoint], now_ns, 0)

    def take_all(self, points: Sequence[Array], now_ns: int, apart_ns: int) -> list[Array]:
        """Hear setpoints that follow each other ``apart_ns``, all or none; return them as followed.

        Raises:
            ValueError: as ``take``.
        """
        last, since_ns, spare_ns = self._last, self._since_ns, self._spare_ns
        followed = []
        if self.holds and points:  # whether the hand goes on as it was told or from where it is, that is no leap
            last = np.append(last[:-1], np.clip(points[0][-1], *sorted((last[-1], self._hand))))
        for point in points:
            try:
                spare_ns = self._spend(last, point, spare_ns, now_ns - since_ns)
            except ValueError:
                self.refused += 1
                raise
            last, since_ns, now_ns = point, now_ns, now_ns + apart_ns
            followed.append(np.append(point[:-1], np.clip(point[-1], 0.0, 1.0)))
        self._last, self._since_ns, self._spare_ns, self.holds = followed[-1], since_ns, spare_ns, False
        return followed

    def next(self, measured: Array, now_ns: int) -> Array:
        """Return what to follow now, given where the arm is; both (dof + 1,)."""
        if not self.holds and now_ns - self._since_ns > self._silent_ns:
            return self.hold_here(measured, now_ns)
        return self._last

    def hold_here(self, measured: Array, now_ns: int) -> Array:
        """Hold where the arm is, its hand as it was told, for that goes on holding something; return it, (dof + 1,)."""
        self.hold(np.append(measured[:-1], self._last[-1]), now_ns)
        self._hand = measured[-1]
        return self._last

    def hold(self, here: Array, now_ns: int) -> None:
        """Hold at ``here`` (dof + 1,) until a setpoint comes."""
        self._last, self._since_ns, self._spare_ns, self.holds = here.copy(), now_ns, float(JITTER_NS), True
        self._hand = here[-1]

    def hold_last(self) -> Array:
        """Hold what was followed last, (dof + 1,), and return it."""
        self.holds, self._hand = True, self._last[-1]
        return self._last

    def _spend(self, last: Array, point: Array, spare_ns: float, passed_ns: int) -> float:
        """Return what is left of the budget [ns at full speed] after going from ``last`` to ``point``."""
        inside = (self._low <= point) & (point <= self._high)
        if not inside.all():
            i = int(np.argmin(inside))
            raise ValueError(f"setpoint: {self._names[i]} outside its limits: {point[i]:.4g}")
        cost_ns = np.abs(point - last) / self._speed * 1e9
        budget_ns = spare_ns + _SPEED_SLACK * (min(passed_ns, _AFTER_HOLD_NS) if self.holds else passed_ns)
        if not cost_ns.max() <= budget_ns:
            i = int(np.argmax(cost_ns))
            way = f"{point[i] - last[i]:.3g} in {passed_ns / 1e6:.0f} ms"
            raise ValueError(f"setpoint: {self._names[i]} faster than {self._speed[i]:.3g} a second: {way}")
        return float(min(budget_ns - cost_ns.max(), JITTER_NS))
