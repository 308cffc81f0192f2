"""Whether an arm only did what it may: the invariants of a safe run, read off the arm's own log. Pure.

It shares the robot's limits and its kinematics with the gate, and none of the gate's reasoning: it knows
what was followed and when, and when the arm was armed and stopped. Checked are position limits, speed,
acceleration and jerk of every joint; the tool's box, cone, speed and turn rate; that nothing moves unless armed;
and that a stop is only followed by braking. What is not a number is a violation.

Rows that bear their setpoint's exact time (lockstep, or recorded with the gate's stamps) are judged by
divided differences of neighbours: n! times one of order n is a mean of the n-th derivative. Over a gap of
more than two ticks only the speed is judged: setpoints were lost, or the gate paused in its plan.

A controller that samples asynchronous setpoints at its own ticks sees none, one or two of them a tick, each
up to ``jitter_s`` old. Two rows ``T`` apart then hold the motion of ``T'``, with ``|T' - T| <= jitter_s``.
Hence over a window of a few ticks |dq| <= v (T + jitter), and the mean speeds u1, u2 of two windows on end
satisfy |u2 - u1| <= a (T + jitter) + (|u1| + |u2|) jitter / (T - jitter). Jerks drown in that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from armtune_safety import rotations
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import RobotParams, SafetyParams

from .motion_log import RESET, SETPOINT, MotionLog

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNEVEN = 0.25
"""``unevenness`` of any stream: the gate bounds each move's mean speed; the end of one and the start of the next may
fall into one period."""
FOLLOWS_RAD = 0.1
"""``follows_rad`` of an arm that may be blocked: what it is told then goes back to where it is at once."""
_SLACK = 1e-6
_STILL = 1e-6
"""A step of a setpoint smaller than this [rad] is none."""
_RESTING_RAD_S = 1e-3
"""A setpoint slower than this rests: it may be put where the arm is."""
_GRIPPER_RAMP_S = 0.1
"""Time in which the gripper may reach its full speed, its acceleration rising for half of it, then falling."""
_WINDOW_S = 0.1
_QUIET_S = 0.05
"""How long an arm must be still to count as at rest, and how slow (measured) that is [rad/s]."""
_QUIET_RAD_S = 0.05
_LAGS_RAD, _LAGS_M = 0.2, 0.03
"""How far a sound arm may be from what it follows, for the generous bounds on what is measured."""
_STOPS = ("stop", "gave way")
_HEARD_ROWS = 20
"""How many rows ago a joint state may be that a gate on a busy machine acts on."""
_Braking = tuple[int, Array, Array, str]
"""A row, what it shows of each joint, the most that it may show, and in what unit."""
_WAY_NS = 400_000_000
"""How long the way back to where an arm was seen last may take; it is at most a period's motion long."""


@dataclass(frozen=True)
class Event:
    """Something done to the arm: ``armed``, ``stop``, ``clear`` or ``fault``.

    ``gave way`` is a stop because the arm was not where it was told to be: it may first go to
    where it was seen last. Give the time before asking to arm, and the time at which a stop was answered: what happens
    in between may be either.
    """

    t_ns: int
    kind: str


@dataclass(frozen=True)
class Violation:
    """A rule broken: when first, and the worst of it in words."""

    rule: str
    t_ns: int
    text: str


class Oracle:
    """Judges logs of one robot under its limits.

    Args:
        robot: Its joints and their limits.
        safety: The bounds in force.
        kinematics: Where its tool is.
        period_s: Control period: the tool's speed limits are means over it.
        unevenness: Part by which that mean may be exceeded where proposals come at other intervals than the period:
            the end of one move and the start of the next then fall into one period.
        follows_rad: How near the arm's joints must be to their setpoint [rad] for the tool's speed to be judged.
        jitter_s: How old a row's setpoint may be; 0 where rows bear its exact time.
        rounding: How much rounding there is in a log's numbers [rad].
    """

    def __init__(
        self,
        robot: RobotParams,
        safety: SafetyParams,
        kinematics: Kinematics,
        *,
        period_s: float = 0.2,
        unevenness: float = 0.0,
        follows_rad: float = np.inf,
        jitter_s: float = 0.0,
        rounding: float = 0.0,
    ) -> None:
        self._safety, self._kinematics, self._names = safety, kinematics, (*robot.joints, "gripper")
        self._low = np.array([*robot.joint_lower_rad, 0.0])
        self._high = np.array([*robot.joint_upper_rad, 1.0])
        self._margin = np.array([safety.joint_margin_rad] * robot.dof + [0.0])
        self._v = np.array([*robot.joint_velocity_rad_s, robot.gripper_velocity_1_s])
        self._v[:-1] *= safety.joint_speed_scale
        self._a = np.array([*robot.joint_acceleration_rad_s2, 2.0 * self._v[-1] / _GRIPPER_RAMP_S])
        self._j = np.array([*robot.joint_jerk_rad_s3, 4.0 * self._v[-1] / _GRIPPER_RAMP_S**2])
        self._period_s, self._jitter_s, self._rounding = period_s, jitter_s, rounding
        self._follows_rad = follows_rad
        self._tool_m_s = safety.max_linear_m_s * (1.0 + unevenness)
        self._tool_rad_s = safety.max_angular_rad_s * (1.0 + unevenness)
        self._centre = rotations.exp(safety.tool_reference_rad)
        self._gap_ns = 2.0e9 / safety.gate_tick_hz + 1.0
        self._met_rad = 1e-3 if jitter_s == 0.0 else safety.first_command_rad
        self._still_rising = self._a**2 / (
            2.0 * self._j
        )  # acceleration at a stop ends only as fast as the jerk lets it
        braking_s = (self._v + self._still_rising) / self._a + 2.0 * self._a / self._j
        self._braking_s = float(np.max(braking_s)) + 2.0 / safety.gate_tick_hz + jitter_s

    def judge(self, log: MotionLog, events: Sequence[Event] = ()) -> list[Violation]:
        """Return what the setpoints followed broke, one violation a rule, none if all is well."""
        if unreadable := self._unreadable(log):
            return unreadable
        log = _last_of_each_time(log)
        if len(log.t_ns) < 2:
            return []
        found = self._limits(log) + self._joins(log) + self._motion(log, events)
        for start, end in self._stretches(log):
            part = MotionLog(
                log.t_ns[start:end], log.source[start:end], log.setpoint[start:end], log.measured[start:end]
            )
            found += self._speeds(part) + self._tool(part)
        return _one_a_rule(found)

    def rest_after(self, log: MotionLog, t_ns: int) -> float:
        """Return the seconds from ``t_ns`` until setpoint and arm stand still; infinite if they never do."""
        later = log.between(t_ns, 2**63 - 1)
        if len(later.t_ns) < 2:
            return float("inf")
        dt_s = np.maximum(np.diff(later.t_ns) / 1e9, 1e-3)
        told = np.max(np.abs(np.diff(later.setpoint, axis=0)), axis=1) <= _STILL + self._rounding
        speed = np.max(np.abs(np.diff(later.measured, axis=0)), axis=1) / dt_s
        still = told & (speed <= _QUIET_RAD_S)
        t_s = (later.t_ns - t_ns) / 1e9
        moved = np.flatnonzero(~still)
        begins = [0, *(moved + 1).tolist()]
        ends = [*moved.tolist(), len(still)]
        quiet = (t_s[b] for b, e in zip(begins, ends) if t_s[e] - t_s[b] >= _QUIET_S)
        return float(next(quiet, np.inf))

    def sound(self, log: MotionLog) -> list[Violation]:
        """Return what the *measured* motion broke of generous bounds: a sound arm near what it follows."""
        if unreadable := self._unreadable(log):
            return unreadable
        log = _last_of_each_time(log)
        apart = np.abs(log.measured - log.setpoint)[:, :-1]
        beyond = np.maximum(self._low - log.measured, log.measured - self._high)[:, :-1]
        p, _ = self._poses(log.measured)
        out_m = self._outside_m(p)
        found = self._worst("measured joint limits", log, beyond, 0.05, "rad beyond", self._names)
        found += self._worst("measured workspace", log, out_m[:, None], _LAGS_M, "m outside", ("tool",))
        return found + self._worst("measured apart from setpoint", log, apart, _LAGS_RAD, "rad apart", self._names)

    # -- rows ------------------------------------------------------------------------------

    def _unreadable(self, log: MotionLog) -> list[Violation]:
        wrong = ~np.isfinite(log.setpoint).all(axis=1) | ~np.isfinite(log.measured).all(axis=1)
        found = [
            Violation("not finite", int(log.t_ns[i]), f"row {i}: {log.setpoint[i]}") for i in np.flatnonzero(wrong)
        ]
        back = np.flatnonzero(np.diff(log.t_ns) < 0)
        found += [Violation("time goes back", int(log.t_ns[i + 1]), f"row {i + 1} is before row {i}") for i in back]
        return _one_a_rule(found)

    def _jumps(self, log: MotionLog) -> Mask:
        """Where (n - 1,) a step is no motion: another source, or a resting setpoint is put where the arm is."""
        step = np.abs(np.diff(log.setpoint, axis=0))
        # Rest at the end of a tick: at a jerk j its mean speed was at most j dt^2 / 6.
        dt_s = np.diff(log.t_ns)[:, None] / 1e9
        slow = np.all(step <= (_RESTING_RAD_S + self._j * dt_s**2 / 6.0) * dt_s + self._rounding, axis=1)
        rested = np.r_[True, slow[:-1]]
        lands = np.minimum(_apart(log.setpoint[1:], log.measured[:-1]), _apart(log.setpoint[1:], log.measured[1:]))
        meets = rested & (lands <= self._met_rad) & (np.max(step, axis=1) > self._safety.first_command_rad / 2)
        return meets | (log.source[1:] != log.source[:-1]) | (log.source[1:] == RESET)

    def _stretches(self, log: MotionLog) -> list[tuple[int, int]]:
        """Row ranges of setpoints without a jump or, of exact rows, a gap."""
        cut = self._jumps(log) | ((np.diff(log.t_ns) > self._gap_ns) & (self._jitter_s == 0.0))
        cuts = [0, *(np.flatnonzero(cut) + 1).tolist(), len(log.t_ns)]
        return [(a, b) for a, b in pairwise(cuts) if b - a >= 2 and log.source[a] == SETPOINT]

    # -- rules -----------------------------------------------------------------------------

    def _limits(self, log: MotionLog) -> list[Violation]:
        """Positions: never further beyond a bound, its margin or slack included, than the row before."""
        q = log.setpoint
        beyond = np.maximum(self._low + self._margin - q, q - self._high + self._margin)
        p, r = self._poses(q)
        out_m, out_rad = self._outside_m(p), self._outside_rad(r)
        s, rounding = self._safety, self._rounding
        followed = (log.source == SETPOINT)[1:]
        joints = np.where(followed[:, None], _further(beyond, 0.0), -np.inf)
        box = np.where(followed, _further(out_m, s.workspace_slack_m), -np.inf)
        cone = np.where(followed, _further(out_rad, s.workspace_slack_rad), -np.inf)
        landed = self._jumps(log)
        joints[landed], box[landed], cone[landed] = -np.inf, -np.inf, -np.inf
        rows = log.after(1)
        found = self._worst("joint limits", rows, joints, _SLACK + rounding, "rad beyond", self._names)
        found += self._worst("workspace", rows, box[:, None], _SLACK + rounding, "m beyond its slack", ("tool",))
        return found + self._worst("tool orientation", rows, cone[:, None], _SLACK + rounding, "rad beyond", ("tool",))

    def _joins(self, log: MotionLog) -> list[Violation]:
        """Where stretches join: a controller holds, and goes on, where the arm is; a gap excuses no leap."""
        rows, changed = log.after(1), (log.source[1:] != log.source[:-1]) & (log.source[1:] != RESET)
        to_arm = np.minimum(_apart(log.setpoint[1:], log.measured[:-1]), _apart(log.setpoint[1:], log.measured[1:]))
        off = np.where(changed & (log.source[:-1] != RESET), to_arm - self._safety.first_command_rad, -np.inf)
        found = self._worst("jump at a change of source", rows, off[:, None], _LAGS_RAD, "rad", ("arm",))
        gap_s = np.diff(log.t_ns)[:, None] / 1e9
        fast = np.abs(np.diff(log.setpoint, axis=0)) / (gap_s + self._jitter_s) - self._v
        paused = (np.diff(log.t_ns) > self._gap_ns) & ~self._jumps(log) & (self._jitter_s == 0.0)
        fast = np.where(paused[:, None], fast, -np.inf)
        return found + self._worst("joint speed", rows, fast, _SLACK, "over the limit", self._names)

    def _speeds(self, log: MotionLog) -> list[Violation]:
        """Speed, acceleration and jerk of every joint; see the module's text for what jitter does to them."""
        if self._jitter_s > 0.0:
            return self._blurred_speeds(log)
        t_s = ((log.t_ns - log.t_ns[0]) / 1e9)[:, None]
        slopes, found = log.setpoint, list[Violation]()
        for order, (name, limit) in enumerate((("speed", self._v), ("acceleration", self._a), ("jerk", self._j)), 1):
            if len(t_s) <= order:
                break
            span = t_s[order:] - t_s[:-order]
            slopes = np.diff(slopes, axis=0) * order / span
            blur = _SLACK * limit + 2.0**order * self._rounding / (span / order) ** order
            over = np.abs(slopes) - limit - blur
            found += self._worst(f"joint {name}", log.after(order), over, _SLACK, "over the limit", self._names)
        return found

    def _blurred_speeds(self, log: MotionLog) -> list[Violation]:
        """The same over a window, of rows whose setpoints may be ``jitter_s`` old; jerks drown in that."""
        t_s, jitter = (log.t_ns - log.t_ns[0]) / 1e9, self._jitter_s
        n = max(1, round(_WINDOW_S * self._safety.gate_tick_hz))
        if len(t_s) <= n:
            return []
        span = (t_s[n:] - t_s[:-n])[:, None]
        way = log.setpoint[n:] - log.setpoint[:-n]
        blur = 2.0 * self._rounding / span
        excess = np.abs(way) / (span + jitter) - self._v - blur
        found = self._worst("joint speed", log.after(n), excess, _SLACK, "over the limit", self._names)
        if len(way) <= n:
            return found
        first, second = way[:-n] / span[:-n], way[n:] / span[n:]
        shortest, longest = np.minimum(span[:-n], span[n:]), np.maximum(span[:-n], span[n:])
        shift = (np.abs(first) + np.abs(second)) * jitter / np.maximum(shortest - jitter, 1e-3)
        over = (np.abs(second - first) - shift - 2.0 * blur[n:]) / (longest + jitter) - self._a
        return found + self._worst("joint acceleration", log.after(2 * n), over, _SLACK, "over the limit", self._names)

    def _tool(self, log: MotionLog) -> list[Violation]:
        """Mean speed of the tool over one control period, of the rows where the arm follows."""
        log = log.rows(np.max(np.abs(log.setpoint - log.measured)[:, :-1], axis=1) <= self._follows_rad)
        if len(log.t_ns) == 0:
            return []
        t_s = (log.t_ns - log.t_ns[0]) / 1e9
        later = np.searchsorted(t_s, t_s + self._period_s - 1e-6)
        first = np.flatnonzero(later < len(t_s))
        if not len(first):
            return []
        later = later[first]
        span = t_s[later] - t_s[first] + self._jitter_s
        p, r = self._poses(log.setpoint)
        rows = log.rows(later)
        move = np.linalg.norm(p[later] - p[first], axis=1) / span - self._tool_m_s
        turn = _angles(r[later] @ np.swapaxes(r[first], 1, 2)) / span - self._tool_rad_s
        found = self._worst("tool speed", rows, move[:, None], _SLACK, "m/s over the limit", ("tool",))
        return found + self._worst("turn speed", rows, turn[:, None], _SLACK, "rad/s over the limit", ("tool",))

    def _motion(self, log: MotionLog, events: Sequence[Event]) -> list[Violation]:
        """Nothing moves unless armed; after a stop it only brakes. A setpoint may go to where the arm is."""
        step = np.abs(np.diff(log.setpoint, axis=0))
        was, now = np.abs(log.setpoint[:-1] - log.measured[:-1]), np.abs(log.setpoint[1:] - log.measured[:-1])
        nearer = np.all(now <= was + _STILL + self._rounding, axis=1)
        moves = (np.max(step, axis=1) > _STILL + self._rounding) & ~self._jumps(log) & (log.source[1:] == SETPOINT)
        nearer |= self._returns(log)
        t_ns, found = log.t_ns[1:], list[Violation]()
        speed = step / (np.diff(log.t_ns) / 1e9)[:, None]
        is_armed, gives_way, since_ns = False, False, int(log.t_ns[0]) - 1
        marks = sorted((e for e in events if e.kind in ("armed", *_STOPS)), key=lambda e: e.t_ns)
        for event in [*marks, Event(2**63 - 1, "armed")]:
            inside = (t_ns > since_ns) & (t_ns <= event.t_ns)
            if not is_armed:
                late_ns = since_ns + _WAY_NS if gives_way else since_ns
                found += self._idle(log, t_ns, inside & (t_ns > late_ns), moves & ~nearer, speed, since_ns)
            is_armed, gives_way, since_ns = event.kind == "armed", event.kind == _STOPS[1], event.t_ns
        return found

    def _returns(self, log: MotionLog) -> Mask:
        """Where (n - 1,) a blurred setpoint is put exactly where the arm was a moment ago: the gate heard it late."""
        found = np.zeros(len(log.t_ns) - 1, bool)
        for rows in range(1, _HEARD_ROWS + 1) if self._jitter_s > 0.0 else ():
            apart = np.max(np.abs(log.setpoint[rows:] - log.measured[:-rows]), axis=1)
            found[rows - 1 :] |= apart <= _STILL + self._rounding
        return found

    def _idle(
        self, log: MotionLog, t_ns: NDArray[np.int64], inside: Mask, moves: Mask, speed: Array, since_ns: int
    ) -> list[Violation]:
        """A stretch in which the arm is not armed: before arming, or after the stop at ``since_ns``."""
        stopped = since_ns >= log.t_ns[0]
        braking = inside & (t_ns <= since_ns + self._braking_s * 1e9) if stopped else np.zeros_like(inside)
        rule = "moved after a stop" if stopped else "moved before arming"
        found = [
            Violation(rule, int(t_ns[i]), f"expected no motion while not armed, got {np.max(speed[i]):.4g} rad/s")
            for i in np.flatnonzero(inside & ~braking & moves)[:1]
        ]
        judged = self._gains if self._jitter_s == 0.0 else self._ways
        for i, got, most, unit in judged(log, t_ns, braking & moves, speed, since_ns):
            if not np.all(got <= most * (1.0 + _SLACK) + _SLACK):
                joint = int(np.argmax(got - most))
                text = f"{self._names[joint]}: expected at most {most[joint]:.4g} {unit}, got {got[joint]:.4g}"
                found.append(Violation("faster after a stop", int(t_ns[i]), text))
        return found

    def _gains(
        self, log: MotionLog, t_ns: NDArray[np.int64], braking: Mask, speed: Array, since_ns: int
    ) -> Iterator[_Braking]:
        """Of rows with exact times: how fast it is, and how fast it was when the stop came."""
        dt_s, last = np.diff(log.t_ns) / 1e9, int(np.searchsorted(t_ns, since_ns, side="right"))
        # Over a gap at most two ticks' worth was moved, so that was faster than its mean.
        paused = np.maximum(dt_s[:last] * 1e9 / self._gap_ns, 1.0)[-1:]
        was = np.max(speed[:last][-1:] * paused[:, None], axis=0, initial=0.0) + self._still_rising
        last_s = float(np.max(dt_s[:last][-1:], initial=0.0))
        for i in np.flatnonzero(braking):
            # Means over two intervals on end are half of both apart in time.
            yield int(i), speed[i], was + self._a * (last_s + dt_s[i]) / 2.0, "rad/s"

    def _ways(
        self, log: MotionLog, t_ns: NDArray[np.int64], braking: Mask, speed: Array, since_ns: int
    ) -> Iterator[_Braking]:
        """Of rows ``jitter_s`` old: how far it went since the stop, and how far brakes would let it.

        A controller that catches up logs rows a millisecond apart, each with a whole tick's motion: they bear no speed.
        A log that begins with the stop shows no speed before it: that may have been any that is allowed.
        """
        last = int(np.searchsorted(t_ns, since_ns, side="right"))
        first = max(int(np.searchsorted(log.t_ns, log.t_ns[last] - _WINDOW_S * 1e9, side="right")) - 1, 0)
        window_s = max((log.t_ns[last] - log.t_ns[first]) / 1e9, _WINDOW_S)
        mean = np.abs(log.setpoint[last] - log.setpoint[first]) / (window_s - self._jitter_s)
        reached = mean + self._a * (window_s / 2.0 + self._jitter_s) if last else self._v
        was = np.minimum(reached, self._v) + self._still_rising
        late_s = self._jitter_s + 2.0 / self._safety.gate_tick_hz + 2.0 * self._a / self._j
        rows = np.flatnonzero(braking)
        for i, way in zip(rows, np.cumsum(speed[rows] * np.diff(log.t_ns)[rows, None] / 1e9, axis=0)):
            t_s = (t_ns[i] - log.t_ns[last]) / 1e9 + self._jitter_s
            brakes_s = np.clip(t_s - late_s, 0.0, was / self._a)
            most = was * np.minimum(t_s, late_s + brakes_s) - self._a * brakes_s**2 / 2.0
            yield int(i), way, most, "rad on"

    # -- helpers ---------------------------------------------------------------------------

    def _poses(self, q: Array) -> tuple[Array, Array]:
        """Tool positions (n, 3) [m] and rotations (n, 3, 3) of rows (n, dof + 1)."""
        distinct, back = np.unique(q[:, :-1], axis=0, return_inverse=True)
        poses = [self._kinematics.tool_pose(row) for row in distinct]
        back = back.reshape(-1)
        return np.array([p for p, _ in poses])[back], np.array([r for _, r in poses])[back]

    def _outside_m(self, p: Array) -> Array:
        low, high = np.array(self._safety.workspace_low_m), np.array(self._safety.workspace_high_m)
        return np.max(np.maximum(low - p, p - high), axis=1)

    def _outside_rad(self, r: Array) -> Array:
        return _angles(r @ self._centre.T) - self._safety.tool_max_angle_rad

    def _worst(
        self, rule: str, log: MotionLog, excess: Array, allowed: float, unit: str, names: Sequence[str]
    ) -> list[Violation]:
        """One violation if any ``excess`` (n, k) is not within ``allowed``."""
        wrong = ~(excess <= allowed)
        if not wrong.any():
            return []
        row, column = np.unravel_index(int(np.argmax(np.where(wrong, excess, -np.inf))), excess.shape)
        first = int(log.t_ns[np.flatnonzero(wrong.any(axis=1))[0]])
        text = f"{names[int(column)]}: expected 0, got {excess[row, column]:.6g} {unit} at {log.t_ns[row]} ns"
        return [Violation(rule, first, f"{text}; {int(wrong.any(axis=1).sum())} rows")]


def _apart(a: Array, b: Array) -> Array:
    """Largest difference of the arm's joints, row by row."""
    return np.max(np.abs(a - b)[:, :-1], axis=1)


def _further(out: Array, slack: float) -> Array:
    """How much further out than the slack, and than the row before, each row but the first is."""
    return out[1:] - np.maximum(out[:-1], slack)


def _angles(r: Array) -> Array:
    """Angles [rad] of rotations (n, 3, 3); from 2 sin and 2 cos, exact near 0 and near pi."""
    sine2 = np.sqrt((r[:, 2, 1] - r[:, 1, 2]) ** 2 + (r[:, 0, 2] - r[:, 2, 0]) ** 2 + (r[:, 1, 0] - r[:, 0, 1]) ** 2)
    return np.arctan2(sine2, np.trace(r, axis1=1, axis2=2) - 1.0)


def _last_of_each_time(log: MotionLog) -> MotionLog:
    """Rows of one and the same moment are one: the last."""
    keep = np.r_[np.diff(log.t_ns) > 0, True] if len(log.t_ns) else np.zeros(0, bool)
    return log.rows(keep)


def _one_a_rule(found: Sequence[Violation]) -> list[Violation]:
    """The first of each rule, in time's order."""
    first: dict[str, Violation] = {}
    for violation in sorted(found, key=lambda v: v.t_ns):
        first.setdefault(violation.rule, violation)
    return list(first.values())
