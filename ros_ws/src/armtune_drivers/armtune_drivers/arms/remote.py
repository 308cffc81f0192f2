"""What is passed on to a controller that is not ours, and when nothing is. Pure.

Others may move that arm while we have it: switch controllers, push it, stop its manager. So a goal is never older
than the last time all was well; after that the arm is another one, to be armed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from armtune_safety.following import Follower, path
from armtune_safety.settings import RobotParams

from .base import SETTLE_NS, Array

STALE_NS = 100_000_000
UNANSWERED_NS = 3_000_000_000
APART_RAD, APART_NS = 0.2, 500_000_000
"""An arm that is so far from its goal for so long does not hear us: another controller has it, or it is blocked."""
ACTIVITY = "controller_manager: Controllers Activity"
"""What the manager calls the states of its controllers, once a second in ``/diagnostics`` (ros2_control,
controller_manager.cpp, ``controller_activity_diagnostic_callback``)."""


def asleep(controller: str, said: Mapping[str, str]) -> str | None:
    """Return what is wrong with a controller by the manager's ``ACTIVITY``, blank if it is active, None if not named.

    Newer managers say ``name.state``, older ones ``name``. Who is not named is as he was: another manager may speak.
    """
    state = said.get(f"{controller}.state", said.get(controller))
    if state in (None, "active"):
        return None if state is None else ""
    return f"{controller} is {state or 'in no state'}, expected it active; switch it on"


class Remote:
    """Follows setpoints while all is well and the arm follows them; else it says nothing and forgets.

    Args:
        new_id: Makes the id of one uninterrupted hold.
    """

    def __init__(self, robot: RobotParams, new_id: Callable[[], int]) -> None:
        self._robot, self._new_id, self._follower = robot, new_id, Follower(robot)
        self._measured: Array | None = None
        self._seen_ns = self._near_ns = self._answered_ns = self._hear_from_ns = 0
        self._has_followed = False
        self._wrong = {"limits": "no robot_description heard", "manager": "the controller manager has not answered"}
        self.boot_id = new_id()

    @property
    def holds(self) -> bool:
        """Whether the arm holds because no setpoint was heard in time."""
        return self._follower.holds

    def note(self, what: str, wrong: str, now_ns: int) -> None:
        """Note what is wrong with one thing, blank for nothing; what the manager said is good for 3 s."""
        self._wrong[what] = wrong
        if what == "manager":
            self._answered_ns = now_ns

    def fault(self, now_ns: int) -> str:
        """Return all that is wrong, blank when well."""
        wrong = [why for why in self._wrong.values() if why]
        if not self._wrong["manager"] and now_ns - self._answered_ns > UNANSWERED_NS:
            wrong.append(f"the controller manager has not answered for {UNANSWERED_NS / 1e9:g} s")
        return "; ".join(wrong)

    def see(self, positions: Sequence[float], now_ns: int) -> None:
        """See where the arm is: joints [rad], then the finger [m].

        Raises:
            ValueError: for a number that is not finite.
        """
        if not np.isfinite(positions).all():
            raise ValueError("joint state: expected finite positions")
        self._measured = np.array([*positions[:-1], self._robot.opening(positions[-1])])
        if self._is_stale(now_ns):
            self.forget(now_ns)
        self._seen_ns = now_ns

    def _is_stale(self, now_ns: int) -> bool:
        return now_ns - self._seen_ns >= STALE_NS

    def hear(self, names: Sequence[str], points: Sequence[Sequence[float]], now_ns: int) -> None:
        """Hear the newest setpoint; without effect while something is wrong, and just after.

        Raises:
            ValueError: when it is refused.
        """
        if self._measured is None or self._is_stale(now_ns) or self.fault(now_ns):
            self._hear_from_ns = now_ns + SETTLE_NS
        if self._measured is None or now_ns < self._hear_from_ns:
            return
        point = path(self._robot, names, points)[0]
        if not self._has_followed:
            self._follower.hold(self._measured, now_ns)
            self._near_ns = now_ns
        self._follower.take(point, now_ns)
        self._has_followed = True

    def next(self, now_ns: int) -> Array | None:
        """Return the goal to send now, (dof + 1,), or None: nothing before the first setpoint, nor while not well."""
        if self._measured is None or not self._has_followed:
            return None
        goal = self._follower.next(self._measured, now_ns)
        if np.max(np.abs(goal - self._measured)[:-1]) <= APART_RAD:
            self._near_ns = now_ns
        if self._is_stale(now_ns) or now_ns - self._near_ns > APART_NS or self.fault(now_ns):
            self.forget(now_ns)
            return None
        return goal

    def forget(self, now_ns: int) -> None:
        """What was followed, if anything, is of another time: who armed us must do so again."""
        if self._measured is None or not self._has_followed:
            return
        self.boot_id, self._has_followed, self._hear_from_ns = self._new_id(), False, now_ns + SETTLE_NS
        self._follower.hold(self._measured, now_ns)
