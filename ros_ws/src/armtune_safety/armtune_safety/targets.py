"""From an accepted proposal to the target it may have: every limit, in order. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import ActionSpec, Kind, Proposal

from . import limits, rotations
from .kinematics import Kinematics
from .settings import RobotParams, SafetyParams

Array = NDArray[np.float64]

_REACHED_M, _REACHED_RAD = 2e-4, 2e-3
"""A solution this near is the pose asked for."""
_LEAST_SCALE = 0.01
_ON_THE_WAY = (0.25, 0.5, 0.75, 1.0)
"""Parts of a period's way in joints at which it is looked at."""
_LESS = 0.5
"""Part of a period's move that too few joints may make where the whole would turn the tool too far."""


@dataclass(frozen=True)
class Pose:
    """The tool in the base frame: position [m] (3,) and rotation matrix (3, 3)."""

    p: Array
    rotation: Array

    def delta_from(self, ref: Pose) -> Array:
        """Return the tool delta (6,) [m, rad] that leads from ``ref`` to here."""
        return np.concatenate([self.p - ref.p, rotations.log(self.rotation @ ref.rotation.T)])

    def moved(self, delta: Array) -> Pose:
        """Return the pose a tool delta (6,) [m, rad] away: p + dp, exp(dr) R."""
        return Pose(self.p + delta[:3], rotations.exp(delta[3:]) @ self.rotation)


@dataclass(frozen=True)
class Target:
    """Where the arm may go: joints [rad] (dof,), opening, the pose there, and what it cost."""

    q_rad: Array
    opening: float
    pose: Pose
    allowed: Array
    limited_by: tuple[str, ...]


@dataclass(frozen=True)
class _Rates:
    """How far one period may lead: the tool [m], its turn [rad], each joint [rad] (dof,).

    ``slow`` is the name to give when one of them acts, if they are less than the robot's own.
    """

    far_m: float
    far_rad: float
    step_rad: Array
    slow: str = ""

    def scaled(self, scale: float) -> _Rates:
        """The same at a part of the speed. No speed at all is HOLD, another mode; NaN is the least."""
        if scale >= 1.0:
            return self
        scale = max(_LEAST_SCALE, scale)  # in this order
        return _Rates(self.far_m * scale, self.far_rad * scale, self.step_rad * scale, "slow")


class Targets:
    """Applies the limits of one robot at one rate."""

    def __init__(self, robot: RobotParams, safety: SafetyParams, spec: ActionSpec, kinematics: Kinematics) -> None:
        self._safety, self._high, self._kinematics = safety, np.array(spec.high[:6]), kinematics
        self._dof = robot.dof
        self._low_rad = np.array(robot.joint_lower_rad) + safety.joint_margin_rad
        self._high_rad = np.array(robot.joint_upper_rad) - safety.joint_margin_rad
        v = np.array(robot.joint_velocity_rad_s) * safety.joint_speed_scale
        a, j = np.array(robot.joint_acceleration_rad_s2), np.array(robot.joint_jerk_rad_s3)
        self._rates = _Rates(
            safety.max_linear_m_s * spec.period_s,
            safety.max_angular_rad_s * spec.period_s,
            limits.reachable_rad(v, a, j, spec.period_s),
        )
        self._centre = rotations.exp(safety.tool_reference_rad)

    def allowed(self, proposal: Proposal, ref: Pose, setpoint: Array, scale: float = 1.0) -> Target:
        """Return the target nearest to what is proposed.

        Args:
            proposal: Finite and of the right length; any kind.
            ref: Where a tool delta starts.
            setpoint: Joints [rad] and opening now commanded, shape (dof + 1,).
            scale: Part of the allowed speeds, 0.01 to 1; what that shortens is limited by "slow".
        """
        rates = self._rates.scaled(scale)
        values, q_now = np.array(proposal.values), setpoint[: self._dof]
        opening, narrowed = limits.opening(float(values[-1]))
        tool = proposal.kind is Kind.TOOL_DELTA
        follow = self._follow_delta if tool else self._follow_joints
        q, pose, why = follow(values[:6] if tool else values[:-1], ref, q_now, rates)
        names = tuple(dict.fromkeys(name for name in (*why, narrowed) if name))
        delta = values[:6] if tool and names in ((), ("gripper range",)) else pose.delta_from(ref)
        return Target(q, opening, pose, np.append(delta, opening), names)

    def _follow_delta(self, delta: Array, ref: Pose, q_now: Array, rates: _Rates) -> tuple[Array, Pose, list[str]]:
        """Rates, the workspace and the tool's orientation, then what the joints can do."""
        delta, first = limits.bounds(delta, self._high)
        move, second = limits.length(delta[:3], rates.far_m, rates.slow or "tool speed")
        turn, third = limits.length(delta[3:], rates.far_rad, rates.slow or "turn speed")
        wanted, more = self._within(ref.moved(np.concatenate([move, turn])), ref)
        q, pose, reached = self._reach(wanted, ref, q_now, rates.far_rad)
        nearer, fourth = limits.joint_step(q_now, q, rates.step_rad)
        if fourth:
            q, pose, fourth = nearer, self._pose(nearer), rates.slow or fourth
        return q, pose, [first, second, third, *more, reached, fourth]

    def _follow_joints(self, q_rad: Array, _ref: Pose, q_now: Array, rates: _Rates) -> tuple[Array, Pose, list[str]]:
        """One period of the way to a joint target, under the same limits as a tool delta.

        Where the straight way in joints leaves the workspace, the tool goes straight instead:
        box and cone are convex, so that way stays inside.
        """
        here = self._pose(q_now)
        goal, first = limits.joints(q_rad, self._low_rad, self._high_rad)
        q, second = limits.joint_step(q_now, goal, rates.step_rad)
        pose = self._pose(q)
        while (excess := _too_fast(pose, here, rates)) > 1.0:
            q, second = q_now + (q - q_now) * (0.999 / excess), "tool speed"
            pose = self._pose(q)
        if any(any(self._within(self._pose(q_now + part * (q - q_now)), here)[1]) for part in _ON_THE_WAY):
            q, pose, more = self._follow_delta(self._pose(goal).delta_from(here), here, q_now, rates)
            return q, pose, [first, *more]
        return q, pose, [first, second and (rates.slow or second)]

    def _within(self, pose: Pose, ref: Pose) -> tuple[Pose, list[str]]:
        """The workspace box and the cone of orientations."""
        p, first = limits.position(pose.p, ref.p, self._safety.workspace_low_m, self._safety.workspace_high_m)
        r, second = limits.orientation(pose.rotation, ref.rotation, self._centre, self._safety.tool_max_angle_rad)
        return Pose(p, r), [first, second]

    def _reach(self, wanted: Pose, ref: Pose, q_now: Array, far_rad: float) -> tuple[Array, Pose, str]:
        """Return joints for the pose wanted, else for the part of it that the arm can reach.

        A half-solved pose is never commanded: it drifts into corners there is no way out of.
        """
        parts = [wanted, Pose(wanted.p, ref.rotation), Pose(ref.p, wanted.rotation)]
        if not self._kinematics.is_free:
            parts.insert(1, ref.moved(_LESS * wanted.delta_from(ref)))
        for pose in parts:
            q = self._kinematics.solve(pose.p, pose.rotation, q_now)
            got = self._pose(q)
            if not (float(np.linalg.norm(got.p - pose.p)) <= _REACHED_M and self._in_limits(q, q_now)):
                continue
            if rotations.angle_rad(got.rotation, pose.rotation) <= _REACHED_RAD:
                return q, pose, "" if pose is wanted else "reach"
            if self._may_turn(got.rotation, ref.rotation, far_rad):
                return q, got, "reach"
        return q_now, self._pose(q_now), "reach"

    def _may_turn(self, got: Array, ref: Array, far_rad: float) -> bool:
        """True if the tool may be turned another way than was wanted: too few joints, within all limits of its turn."""
        if self._kinematics.is_free or not rotations.angle_rad(got, ref) <= far_rad:
            return False
        return not limits.orientation(got, ref, self._centre, self._safety.tool_max_angle_rad)[1]

    def _in_limits(self, q_rad: Array, q_now: Array) -> bool:
        """True inside the joint limits' margins, or no further into them than now."""
        low, high = np.minimum(self._low_rad, q_now), np.maximum(self._high_rad, q_now)
        return bool(np.all((q_rad >= low - 1e-9) & (q_rad <= high + 1e-9)))

    def _pose(self, q_rad: Array) -> Pose:
        return Pose(*self._kinematics.tool_pose(q_rad))


def _too_fast(pose: Pose, ref: Pose, rates: _Rates) -> float:
    """How many times too far a period's move of the tool is; up to 1 is allowed."""
    move = pose.delta_from(ref)
    return float(max(np.linalg.norm(move[:3]) / rates.far_m, np.linalg.norm(move[3:]) / rates.far_rad))
