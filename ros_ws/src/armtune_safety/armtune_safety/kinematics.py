"""Where the tool is for given joints, and which joints put it there. MuJoCo and mink inside."""

from __future__ import annotations

import math
from pathlib import Path

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import rotations
from .settings import RobotParams

Array = NDArray[np.float64]

_STEPS, _NEWTON_STEPS = 12, 6
_POSITION_M, _ANGLE_RAD = 1e-6, 1e-5
_DAMPING = 1e-8 * np.eye(6)
_SHORT_RAD = 1.0
"""A solution further off is another branch, or comes of a singularity."""
_STILL_RAD = 1e-4
"""Too few joints never bring the error to nothing; with so short a step they are as near as they come."""
_LEAST_GAIN = 1e-2
"""Motion that turns the tool so much less than the best one does, or less than this a radian, is none: it would take
wild joints."""
_TURN_COST, _BOUND_TURN_COST = 0.3, 0.003
"""Of an error in turn [1/rad] against one in place [1/m]: enough joints have both, too few must keep the place."""


class Kinematics:
    """Forward and inverse kinematics of one robot. Not thread-safe: it owns its scratch data.

    ``margin_rad`` is the distance that ``solve`` keeps from every joint limit. ``is_free``: six joints or more reach
    any pose near by; fewer reach the place, and turn the tool as near to the wanted way as they can there.

    Raises:
        FileNotFoundError: the description is not there.
        ValueError: it lacks a joint, the base body or the tool site.
    """

    def __init__(self, robot: RobotParams, mjcf: str | Path, margin_rad: float = 0.0) -> None:
        if not Path(mjcf).is_file():
            raise FileNotFoundError(f"robot description {mjcf}: no such file; set robot.mjcf to one beside its config")
        self._model = mujoco.MjModel.from_xml_path(str(mjcf))
        ids = [self._model.joint(_named(self._model, "joint", name)).id for name in robot.joints]
        self._low = np.array(robot.joint_lower_rad) + margin_rad
        self._high = np.array(robot.joint_upper_rad) - margin_rad
        self._model.jnt_limited[:] = 0  # the fingers stand still here, wherever they are
        self._model.jnt_limited[ids], self._model.jnt_range[ids] = 1, np.column_stack([self._low, self._high])
        self._data = mujoco.MjData(self._model)
        mujoco.mj_kinematics(self._model, self._data)
        site = self._model.site(_named(self._model, "site", robot.tool_frame)).id
        base = self._model.body(_named(self._model, "body", robot.base_frame)).id
        self._base_p = self._data.xpos[base].copy()  # no joint moves the base
        self._base_r = self._data.xmat[base].reshape(3, 3).copy()
        self._site, self._tool_p = site, self._data.site_xpos[site]  # views: they follow the data
        self._tool_r = self._data.site_xmat[site].reshape(3, 3)
        self._qpos, self._dofs = self._model.jnt_qposadr[ids], self._model.jnt_dofadr[ids]
        self._levers_m = tuple(_lever_m(self._model, joint, site) for joint in ids)
        self._jacobian = np.zeros((6, self._model.nv))
        self.is_free = robot.dof >= 6
        self._configuration = mink.Configuration(self._model)
        turn_cost = _TURN_COST if self.is_free else _BOUND_TURN_COST
        self._task = mink.FrameTask(robot.tool_frame, "site", position_cost=1.0, orientation_cost=turn_cost)
        others = sorted(set(range(self._model.nv)) - set(self._dofs.tolist()))
        self._freeze = [mink.DofFreezingTask(self._model, others)] if others else None
        self._limits = [mink.ConfigurationLimit(self._model, gain=0.95)]

    @property
    def levers_m(self) -> tuple[float, ...]:
        """For each joint (dof,), a distance [m] beyond which its axis never is from the tool: the links in between."""
        return self._levers_m

    def tool_pose(self, q_rad: ArrayLike) -> tuple[Array, Array]:
        """Return the tool's position [m] (3,) and rotation matrix (3, 3) in the base frame.

        Args:
            q_rad: Joint positions [rad], shape (dof,), in the robot's joint order.
        """
        self._forward(q_rad)
        return self._base_r.T @ (self._tool_p - self._base_p), self._base_r.T @ self._tool_r

    def tool_state(self, q_rad: ArrayLike, opening: float) -> NDArray[np.float32]:
        """Return ``observation.state``: position [m], rotation vector [rad], opening; (7,)."""
        p, r = self.tool_pose(q_rad)
        return np.concatenate([p, rotations.log(r), [opening]]).astype(np.float32)

    def condition(self, q_rad: ArrayLike) -> float:
        """Condition number of the tool's Jacobian, lengths in units of the arm's reach scale 0.3 m."""
        self._forward(q_rad)
        jacobian = self._tool_jacobian()
        jacobian[:3] /= 0.3
        return float(np.linalg.cond(jacobian))

    def solve(self, p_m: Array, rotation: Array, q_start_rad: ArrayLike) -> Array:
        """Return joints [rad] (dof,) within their limits that bring the tool to a pose, or near it.

        Args:
            p_m: Wanted position in the base frame [m], shape (3,).
            rotation: Wanted rotation matrix in the base frame, shape (3, 3).
            q_start_rad: Where to start, which chooses the branch; shape (dof,).
        """
        p, r = self._base_p + self._base_r @ p_m, self._base_r @ rotation
        q_start_rad = np.clip(q_start_rad, self._low, self._high)
        q = self._newton(p, r, q_start_rad)
        return self._within_limits(p, r, q_start_rad) if q is None else q

    def _newton(self, p: Array, r: Array, q_rad: Array) -> Array | None:
        """Solve in the world frame without the joint limits; None if that leaves them or is no short way.

        Quick, and enough for almost every step of a control period.
        """
        q = q_rad
        for _ in range(_NEWTON_STEPS):
            self._forward(q)
            way, turn = p - self._tool_p, rotations.log(r @ self._tool_r.T)
            is_there = math.hypot(*way) < _POSITION_M
            if is_there and math.hypot(*turn) < _ANGLE_RAD:
                return q
            step = self._step(way, turn)
            if is_there and not self.is_free and np.max(np.abs(step)) < _STILL_RAD:
                return q
            q = q + step
            if not (np.all((q >= self._low) & (q <= self._high)) and np.max(np.abs(q - q_rad)) < _SHORT_RAD):
                return None
        return None

    def _step(self, way: Array, turn: Array) -> Array:
        """Return the joints' step (dof,) that moves and turns the tool [m, rad], to first order.

        Too few joints move it first, and turn it by what leaves its place alone: the null space of the first task
        (Nakamura, Hanafusa and Yoshikawa, Task-Priority Based Redundancy Control of Robot Manipulators, 1987).
        """
        j = self._tool_jacobian()
        if self.is_free:
            return np.asarray(j.T @ np.linalg.solve(j @ j.T + _DAMPING, np.concatenate([way, turn])))
        moves, turns = j[:3], j[3:]
        back = np.linalg.pinv(moves)
        rest = turns @ (np.eye(j.shape[1]) - back @ moves)
        step = back @ way
        if not np.linalg.norm(rest) > _LEAST_GAIN:  # three joints, or a pose: what is left is rounding
            return np.asarray(step)
        return np.asarray(step + np.linalg.pinv(rest, rcond=_LEAST_GAIN) @ (turn - turns @ step))

    def _within_limits(self, p: Array, r: Array, q_rad: Array) -> Array:
        """Solve in the world frame by steps that keep the joint limits, as near as they allow."""
        q = self._configuration.q
        q[self._qpos] = q_rad
        self._configuration.update(q)
        self._task.set_target(mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(r), p))
        for _ in range(_STEPS):
            error = self._task.compute_error(self._configuration)
            if np.linalg.norm(error[:3]) < _POSITION_M and np.linalg.norm(error[3:]) < _ANGLE_RAD:
                break
            try:
                step = mink.solve_ik(
                    self._configuration, [self._task], 1.0, "daqp", 1e-8, limits=self._limits, constraints=self._freeze
                )
            except mink.NoSolutionFound:
                break  # what is reached so far stands; the caller compares it with what it wanted
            self._configuration.integrate_inplace(step, 1.0)
            if np.max(np.abs(step)) < _ANGLE_RAD:
                break
        return np.clip(self._configuration.q[self._qpos], self._low, self._high)

    def _forward(self, q_rad: ArrayLike) -> None:
        """Bring the scratch data to ``q_rad``; the other joints stay where the description has them."""
        self._data.qpos[self._qpos] = q_rad
        mujoco.mj_kinematics(self._model, self._data)

    def _tool_jacobian(self) -> Array:
        """The tool's Jacobian (6, dof) where ``_forward`` left off: [m, rad] in the world frame."""
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        return self._jacobian[:, self._dofs]


def _lever_m(model: mujoco.MjModel, joint: int, site: int) -> float:
    """The longest way from a joint's anchor to the tool, along the bodies' offsets from their parents."""
    way, body = float(np.linalg.norm(model.site_pos[site])), int(model.site_bodyid[site])
    while body not in (0, int(model.jnt_bodyid[joint])):
        way += float(np.linalg.norm(model.body_pos[body]))
        body = int(model.body_parentid[body])
    return way + float(np.linalg.norm(model.jnt_pos[joint]))


def _named(model: mujoco.MjModel, kind: str, name: str) -> str:
    """Return ``name`` if the description has such a joint, body or site."""
    kinds = {"joint": mujoco.mjtObj.mjOBJ_JOINT, "body": mujoco.mjtObj.mjOBJ_BODY, "site": mujoco.mjtObj.mjOBJ_SITE}
    if mujoco.mj_name2id(model, kinds[kind], name) < 0:
        raise ValueError(f"robot description: expected a {kind} named {name!r}, found none")
    return name
