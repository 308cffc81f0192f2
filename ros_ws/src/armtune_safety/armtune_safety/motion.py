"""From one target to the next inside speed, acceleration and jerk limits; Ruckig plans. Pure.

A plan is sampled at the time that has passed since it was made, so ticks may be of any
length. It starts in the state that the last one left, acceleration included, and ends at
rest: whatever happens, an arm that is not told more comes to rest.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

Array = NDArray[np.float64]

_ENDED_S = 1e-9
"""A plan that is this near its end is over; sums of ticks are no exacter."""
_LONGEST_TICK_S = 0.1
"""A setpoint never leaps: over a longer gap the plan waits."""


class State(NamedTuple):
    """Position, velocity and acceleration, each of shape (dof + 1,): the joints [rad], then the opening [1]."""

    position: Array
    velocity: Array
    acceleration: Array


class _Wish(NamedTuple):
    """What Ruckig is asked for the joints of one part of the state."""

    part: slice
    planner: Ruckig
    wish: InputParameter

    def plan(self, start: State, target: Array | None = None, within_s: float = 0.0) -> Trajectory | None:
        """Return a plan from a state to rest; None for what Ruckig refuses (bad input, a numerical failure)."""
        p, v, a = (values[self.part].tolist() for values in start)
        self.wish.current_position, self.wish.current_velocity, self.wish.current_acceleration = p, v, a
        if target is not None:
            self.wish.target_position, self.wish.minimum_duration = target[self.part].tolist(), max(within_s, 0.0)
        plan = Trajectory(len(p))
        try:
            result = self.planner.calculate(self.wish, plan)
        except RuckigError:
            return None
        return plan if result in (Result.Working, Result.Finished) else None


class Motion:
    """The setpoint: where it is and how it moves, and the target it is on the way to.

    The joints set out and arrive together; the gripper takes the time it needs. If it moves
    already it takes the quickest way: a stretched one is exact to 1e-9 only, and could pass its stops.

    Args:
        start: Where it rests at first, shape (dof + 1,).
        max_velocity: Limits of speed, shape (dof + 1,); likewise the next two.
        max_acceleration: Limits of acceleration.
        max_jerk: Limits of jerk.
    """

    def __init__(self, start: Array, max_velocity: Array, max_acceleration: Array, max_jerk: Array) -> None:
        self._limits = (max_velocity, max_acceleration, max_jerk)
        arm, gripper = slice(0, -1), slice(-1, None)
        self._go = [self._wish(part, ControlInterface.Position, Synchronization.Time) for part in (arm, gripper)]
        self._stop = self._wish(slice(None), ControlInterface.Velocity, Synchronization.No)
        self._still, self._braking = np.zeros_like(start), False
        self.restart(start)

    def _wish(self, part: slice, interface: ControlInterface, synchronization: Synchronization) -> _Wish:
        v, a, j = (limit[part].tolist() for limit in self._limits)
        wish = InputParameter(len(v))
        wish.max_velocity, wish.max_acceleration, wish.max_jerk = v, a, j
        wish.control_interface, wish.synchronization = interface, synchronization
        return _Wish(part, Ruckig(len(v)), wish)

    def restart(self, start: Array) -> None:
        """Be at rest at ``start``, with nothing to do. Only for a setpoint that is not in use."""
        self._rest(start.copy())

    @property
    def position(self) -> Array:
        """The setpoint, shape (dof + 1,)."""
        return self.state.position

    @property
    def velocity(self) -> Array:
        """How fast it moves, shape (dof + 1,) [1/s]; exactly 0 at rest."""
        return self.state.velocity

    def retarget(self, target: Array, within_s: float) -> bool:
        """Go to ``target`` (dof + 1,), there and at rest ``within_s`` from now, or as soon as the limits allow.

        Returns False, and brakes, if there is no such plan, which only a target that is not finite should cause.
        """
        plans: list[Trajectory] = []
        if np.all(np.isfinite(target)):
            rests = self.state.velocity[-1] == 0.0 == self.state.acceleration[-1]
            times = zip(self._go, (within_s, within_s if rests else 0.0))
            plans = [plan for part, time_s in times if (plan := part.plan(self.state, target, time_s))]
        if len(plans) < len(self._go):
            self.brake()
            return False
        self._follow(plans, target.copy())
        return True

    def brake(self) -> bool:
        """Come to rest as soon as the limits allow; return True if that changed the target."""
        if self._braking:
            return False
        plan = self._stop.plan(self.state)
        if plan is None:
            return False  # the plan in force ends at rest, too
        stop = np.array(plan.at_time(plan.duration)[0])
        changed = bool(np.max(np.abs(stop - self.target)) > 1e-6)
        if changed:
            self._follow([plan], stop)
            self._braking = True
        return changed

    @property
    def rest(self) -> Array:
        """Where braking now would end, shape (dof + 1,)."""
        way = self.way_to_rest(self.state)
        return self.target if way is None else self.position + way.at_time(way.duration)[0]

    def way_to_rest(self, state: State) -> Trajectory | None:
        """Return the quickest way to rest, seen from where a state is (it starts at 0); None if there is none.

        Ruckig's ``position_extrema`` of a plan to a velocity always take 0 in, which is right only so.
        """
        return self._stop.plan(State(self._still, state.velocity, state.acceleration))

    def after(self, dt_s: float) -> State:
        """Return the state one tick of ``dt_s`` on."""
        at_s = self._later(dt_s)
        if not at_s < self._ends_s - _ENDED_S:
            return State(self.target, self._still, self._still)
        parts = [plan.at_time(at_s) for plan in self._plans]
        return State(*(np.array([*chain.from_iterable(values)]) for values in zip(*parts)))

    def advance(self, dt_s: float, ahead: State | None = None) -> Array:
        """Move on by one tick of ``dt_s``, to ``ahead`` if ``after`` was asked; return the new setpoint (dof + 1,)."""
        self.state, self._at_s = ahead or self.after(dt_s), self._later(dt_s)
        if self.state.position is self.target:
            self._rest(self.target)
        return self.position.copy()

    def _later(self, dt_s: float) -> float:
        return self._at_s + max(0.0, min(dt_s, _LONGEST_TICK_S))  # in this order NaN is 0

    def _rest(self, where: Array) -> None:
        self.state = State(where, self._still, self._still)
        self._follow([], where)

    def _follow(self, plans: list[Trajectory], target: Array) -> None:
        self._plans, self.target, self._braking = plans, target, False
        self._at_s, self._ends_s = 0.0, max((plan.duration for plan in plans), default=0.0)
