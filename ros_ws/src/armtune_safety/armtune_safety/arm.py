"""The arm as the gate sees it: what is measured, the setpoint that leads it, the target. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from ruckig import Trajectory

from . import limits, rotations
from .kinematics import Kinematics
from .motion import Motion, State
from .sensing import Joints
from .settings import RobotParams, SafetyParams
from .targets import Pose, Target

Array = NDArray[np.float64]
Extremes = Sequence[tuple[float, float]]
"""For each joint, how far down and how far up it goes [rad]."""

_GRIPPER_RAMP_S = 0.1
"""Time in which the gripper reaches its full speed; its acceleration rises for half of it, then falls."""
_ROUNDING_RAD = 1e-6
_ON_THE_WAY = (0.0, 0.25, 0.5, 0.75)
"""Parts of a way to rest at which it is looked at; and where a joint comes to rest: there the tool may turn back."""
_KEPT = 0.9
"""Part of the slack within which those places must be: between them the tool may be a little further out."""


class _Room(NamedTuple):
    """How far the tool may move [m] and turn [rad] from where joints ``q_rad`` put it."""

    q_rad: Sequence[float]
    levers_m: Sequence[float]
    room_m: float
    room_rad: float

    def covers(self, extremes: Extremes) -> bool:
        """True if joints within these extremes surely keep the tool inside.

        A joint that turns by t turns the tool by t and moves it by t times its lever at most.
        Not exact, but quick, and most of the time the arm is far from every bound.
        """
        turns = [max(most - q, q - least) for (least, most), q in zip(extremes, self.q_rad)]
        moves = sum(turn * lever for turn, lever in zip(turns, self.levers_m))
        return moves <= self.room_m and sum(turns) <= self.room_rad


class Arm:
    """Joints and tool, told and measured. At home and ``known`` false until a joint state comes."""

    def __init__(self, robot: RobotParams, safety: SafetyParams, kinematics: Kinematics) -> None:
        self._dof, self._safety, self._kinematics = robot.dof, safety, kinematics
        self.joints, self.known = Joints(robot), False
        v = np.array([*robot.joint_velocity_rad_s, robot.gripper_velocity_1_s])
        v[:-1] *= safety.joint_speed_scale
        a = np.array([*robot.joint_acceleration_rad_s2, 2.0 * v[-1] / _GRIPPER_RAMP_S])
        j = np.array([*robot.joint_jerk_rad_s3, 4.0 * v[-1] / _GRIPPER_RAMP_S**2])
        self.motion = Motion(np.array([*robot.home_rad, robot.home_gripper]), v, a, j)
        self._low_rad = [low + safety.joint_margin_rad for low in robot.joint_lower_rad]
        self._high_rad = [high - safety.joint_margin_rad for high in robot.joint_upper_rad]
        self.measured = self.target = self._pose(self.motion.position)
        self._told: Pose | None = None
        self.tracking_m, self.tracking_rad = 0.0, 0.0
        self._centre = rotations.exp(safety.tool_reference_rad)
        self._known_room = self._room(self.motion.position[: self._dof], self.told)

    def take(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int, now_ns: int, held: bool) -> str:
        """Take a joint state; return "" or why it is refused whole.

        While it is not ``held`` the setpoint goes where the arm is moved by hand: the gate
        never drives it back to where it was.
        """
        if why := self.joints.take(names, positions, stamp_ns, now_ns):
            return why
        self.measured = self._pose(self.joints.position)
        if not self.known or not held:
            self.meet(always=not self.known)
        self.known = True
        self.tracking_m = float(np.linalg.norm(self.told.p - self.measured.p))
        self.tracking_rad = rotations.angle_rad(self.told.rotation, self.measured.rotation)
        return ""

    def meet(self, always: bool = False) -> bool:
        """If the resting setpoint is far from the arm, put it where the arm is; return whether it was.

        The hand goes on as it was told, as the controller holds it: it may hold something. ``always`` begins with it,
        too, where it is.
        """
        apart = np.max(np.abs(self.motion.position - self.joints.position)[: self._dof])
        resting = np.max(np.abs(self.motion.velocity)) < 1e-3
        if does := bool(always or (resting and apart > self._safety.first_command_rad)):
            hand = self.joints.position[-1] if always else self.motion.position[-1]
            self.motion.restart(np.append(self.joints.position[: self._dof], hand))
            self._told = self.target = self.measured
            self.tracking_m = self.tracking_rad = 0.0
        return does

    def lose(self) -> None:
        """The controller has held by itself meanwhile, or is another: start anew where the next joint state is."""
        self.known = False

    def follows(self) -> bool:
        """True while the tool is where it was told to be."""
        return self.tracking_m < self._safety.tracking_m and self.tracking_rad < self._safety.tracking_rad

    @property
    def told(self) -> Pose:
        """The tool at the setpoint."""
        if self._told is None:
            self._told = self._pose(self.motion.position)
        return self._told

    @property
    def condition(self) -> float:
        """Condition number at the setpoint, as `Kinematics.condition` has it."""
        return self._kinematics.condition(self.motion.position[: self._dof])

    @property
    def limit_distance_rad(self) -> float:
        """How far the setpoint's nearest joint is from its limit, margin included; negative inside the margin."""
        return limits.joint_room(self.motion.position[: self._dof], self._low_rad, self._high_rad)

    def set_out(self, target: Target, within_s: float) -> bool:
        """Start towards a target, to be there in ``within_s``; return False if the arm brakes instead.

        One that comes before the arm is where the last one leads has a longer way to go, and
        gets the time for it: two moves in one period would be twice the tool's speed.
        """
        move = target.pose.delta_from(self.told)
        at_best_s = max(
            float(np.linalg.norm(move[:3])) / self._safety.max_linear_m_s,
            float(np.linalg.norm(move[3:])) / self._safety.max_angular_rad_s,
        )
        return self._head_for(np.append(target.q_rad, target.opening), target.pose, max(within_s, at_best_s))

    def brake(self) -> bool:
        """Come to rest; return True if that ends the motion short of its target."""
        if not self.motion.brake():
            return False
        self.target = self._pose(self.motion.target)
        return True

    def give_way(self) -> None:
        """The arm is blocked: aim at where it is, else it goes on pushing. The gripper comes to rest; a grip stays."""
        self._head_for(np.append(self.joints.position[: self._dof], self.motion.rest[-1]), self.measured, 0.0)

    def _head_for(self, position: Array, pose: Pose, within_s: float) -> bool:
        going = self.motion.retarget(position, within_s)
        self.target = pose if going else self._pose(self.motion.target)
        return going

    def advance(self, dt_s: float) -> bool:
        """Move the setpoint on by a tick; return True if it brakes so as not to leave the workspace.

        A straight path in joints bulges in space, and stopping takes a way. So the arm takes
        a tick only if it could still stop inside (the slack included) after it; the tick
        before it could, hence braking now does.
        """
        ahead = self.motion.after(dt_s)
        leaves = not self._can_stop_inside(ahead) and self.brake()
        self.motion.advance(dt_s, None if leaves else ahead)
        self._told = None
        return leaves

    def _can_stop_inside(self, ahead: State) -> bool:
        """True if the quickest way to rest stays in the workspace and the joint limits.

        Where the arm is outside them already, that is no further out than now.
        """
        way = self.motion.way_to_rest(ahead)
        if way is None:
            return False
        q = ahead.position[: self._dof].tolist()
        extremes = [(place + b.min, place + b.max) for place, b in zip(q, way.position_extrema)]
        if not self._in_joint_limits(extremes):
            return False
        if self._known_room.covers(extremes):
            return True
        self._known_room = self._room(self.motion.position[: self._dof], self.told)
        return self._known_room.covers(extremes) or self._stays_inside(ahead.position, way)

    def _in_joint_limits(self, extremes: Extremes) -> bool:
        for q, (least, most), low, high in zip(self.motion.position.tolist(), extremes, self._low_rad, self._high_rad):
            if not (min(low, q) - _ROUNDING_RAD <= least and most <= max(high, q) + _ROUNDING_RAD):
                return False
        return True

    def _stays_inside(self, start: Array, way: Trajectory) -> bool:
        """Look at places on the way to rest: outside, none may be further out than the one before it."""
        slack_m, slack_rad = _KEPT * self._safety.workspace_slack_m, _KEPT * self._safety.workspace_slack_rad
        was_m, was_rad = self._outside(self.told)
        rests_s = way.independent_min_durations[: self._dof]
        for at_s in sorted({*(part * way.duration for part in _ON_THE_WAY), *rests_s}):
            out_m, out_rad = self._outside(self._pose(start + way.at_time(at_s)[0]))
            if not (out_m <= max(slack_m, was_m) and out_rad <= max(slack_rad, was_rad)):
                return False
            was_m, was_rad = out_m, out_rad
        return True

    def _outside(self, pose: Pose) -> tuple[float, float]:
        """How far a pose is outside the workspace box [m] and the cone of orientations [rad]; negative inside."""
        out_m = limits.outside(pose.p, self._safety.workspace_low_m, self._safety.workspace_high_m)
        return out_m, rotations.angle_rad(self._centre, pose.rotation) - self._safety.tool_max_angle_rad

    def _room(self, q_rad: Array, pose: Pose) -> _Room:
        """The room around a pose, slack included."""
        out_m, out_rad = self._outside(pose)
        slack_m, slack_rad = self._safety.workspace_slack_m, self._safety.workspace_slack_rad
        return _Room(q_rad.tolist(), self._kinematics.levers_m, slack_m - out_m, slack_rad - out_rad)

    def _pose(self, position: Array) -> Pose:
        return Pose(*self._kinematics.tool_pose(position[: self._dof]))
