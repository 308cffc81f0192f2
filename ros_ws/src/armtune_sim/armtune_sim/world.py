"""The simulated world: joints in, joints and frames out. No ROS inside."""

from __future__ import annotations

import colorsys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from armtune_policies.contract import Direction

from .render import Renderer
from .scene import DISTRACTORS, FRONT_AIM_M, FRONT_POS_M, compile_scene, look_at
from .settings import ANY_TABLE, SimParams
from .shift import Shift
from .tasks import Scene, make_task
from .tasks.base import around
from .wall import Wall

TICK_NS = 10_000_000
STEPS_PER_TICK = 5
_SETTLE_TICKS = 10


@dataclass(frozen=True)
class Truth:
    """What really is: for evaluation only. Poses are position [m] and quaternion x y z w."""

    seed: int
    forward: bool
    backward: bool
    poses: dict[str, NDArray[np.float64]]


class World:
    """An arm, a table and the objects of one task pair.

    Joint vectors have shape (dof + 1,): arm joints [rad] in the order of the description's
    actuators, then the gripper's opening 0..1. Same seed, same direction, same setpoints:
    same world, to the last bit, on one machine. ``add`` puts more into the scene than its task does.

    Raises:
        FileNotFoundError: the description of the arm is not there.
        ValueError: it lacks a part that the world needs.
        ConfigError: there is no such task.
    """

    def __init__(
        self, robot_xml: Path, task: str, params: SimParams, add: Callable[[mujoco.MjSpec], None] | None = None
    ) -> None:
        self.params, self.task = params, make_task(task)
        self.model, self._home = compile_scene(Path(robot_xml), self.task, params.faults, add)
        self.data, self._shown = mujoco.MjData(self.model), mujoco.MjData(self.model)
        self._drawing = threading.Lock()
        self.scene = Scene(self.model, self.data)
        self.wall = Wall(self.model, self.data) if params.faults else None
        """What `arm.wall` puts in the arm's way; a new scene is without it."""
        self.joint_names = tuple(self.model.actuator(i).name for i in range(self.model.nu))
        self._qpos = np.array([self.model.joint(name).qposadr[0] for name in self.joint_names])
        self._dofs = np.array([self.model.joint(name).dofadr[0] for name in self.joint_names])
        self._finger_range = self.model.actuator_ctrlrange[-1].copy()
        self._most = self.model.numeric("max_velocity").data * TICK_NS / 1e9
        self._original, self._shift = _Looks.of(self.model), Shift(self.model, self.task, params.shift)
        self._renderer: Renderer | None = None
        self.seed = self._ticks = 0
        self.reset(0, "forward")

    def reset(self, seed: int, direction: Direction) -> None:
        """Make the scene of a seed, with ``direction`` still to be done and the arm at home; time starts at 0."""
        self.seed = seed
        mujoco.mj_resetData(self.model, self.data)
        rng, table = np.random.default_rng([seed, 0 if direction == "forward" else 1]), self.params.table
        lasting = rng if table == ANY_TABLE else np.random.default_rng(table)
        self.data.qpos[: len(self._home)] = self._home
        self.data.ctrl[:] = self.data.qpos[self._qpos]
        with self._drawing:
            self._shift.undo()
            self.task.reset(self.scene, rng, direction, self.params.variation, lasting)
            self._original.vary(self.model, lasting, self.params)
            self._shift.make()
            mujoco.mj_setConst(self.model, self._shown)
        for _ in range(_SETTLE_TICKS):
            mujoco.mj_step(self.model, self.data, STEPS_PER_TICK)
        self.data.time, self._ticks = 0.0, 0
        mujoco.mj_forward(self.model, self.data)
        self.look()

    def lift_home(self) -> None:
        """Put the arm home as a person's hand would, gripper open, objects as they are; time stands."""
        self.data.qpos[: len(self._home)] = self._home
        self.data.qvel[: len(self._home)] = 0
        self.data.ctrl[:] = self.data.qpos[self._qpos]
        mujoco.mj_forward(self.model, self.data)

    @property
    def time_ns(self) -> int:
        """Simulated time since the last reset."""
        return self._ticks * TICK_NS

    def tick(self, setpoint: ArrayLike) -> None:
        """Follow a setpoint, shape (dof + 1,), for 10 ms, no faster than the servos can.

        Raises:
            ValueError: for another shape, or a number that is not finite; nothing moves then.
        """
        wanted = np.asarray(setpoint, float)
        if wanted.shape != (self.model.nu,) or not np.isfinite(wanted).all():
            raise ValueError(f"setpoint: expected {self.model.nu} finite numbers, got {setpoint!r}")
        low, high = self._finger_range
        wanted = np.append(wanted[:-1], low + wanted[-1] * (high - low))
        self.data.ctrl[:] += np.clip(wanted - self.data.ctrl, -self._most, self._most)
        mujoco.mj_step(self.model, self.data, STEPS_PER_TICK)
        self._ticks += 1
        mujoco.mj_kinematics(self.model, self.data)  # poses of now, not of one physics step ago

    def joints_measured(self) -> NDArray[np.float64]:
        """Return where the joints are: arm [rad], then gripper opening; shape (dof + 1,)."""
        joints = self.data.qpos[self._qpos]
        low, high = self._finger_range
        joints[-1] = (joints[-1] - low) / (high - low)
        return joints

    def velocities_measured(self) -> NDArray[np.float64]:
        """Return how fast the joints move: arm [rad/s], then gripper opening per second; shape (dof + 1,)."""
        speeds = self.data.qvel[self._dofs]
        speeds[-1] /= self._finger_range[1] - self._finger_range[0]
        return speeds

    def look(self) -> None:
        """Take the picture's moment: what ``draw`` shows from now on. Not while ``tick`` runs."""
        self._shown.qpos[:] = self.data.qpos
        self._shown.mocap_pos[:], self._shown.mocap_quat[:] = self.data.mocap_pos, self.data.mocap_quat

    def draw(self, camera: str, height_px: int = 480, width_px: int = 640) -> NDArray[np.uint8]:
        """Return the frame of the last ``look``; rgb8, uint8, shape (height_px, width_px, 3).

        May run beside ``tick``, always in one thread: the first one to draw.

        Raises:
            NoRendererError: when this machine has no off-screen OpenGL.
            ValueError: for a camera that is not in the scene.
        """
        if self._renderer is None:
            self._renderer = Renderer(self.model, self.params.shadows)
        with self._drawing:
            mujoco.mj_kinematics(self.model, self._shown)
            mujoco.mj_camlight(self.model, self._shown)
            return self._renderer.render(self._shown, camera, height_px, width_px)

    def render(self, camera: str, height_px: int = 480, width_px: int = 640) -> NDArray[np.uint8]:
        """Look and draw; see ``draw``."""
        self.look()
        return self.draw(camera, height_px, width_px)

    def focal_px(self, camera: str, height_px: int = 480) -> float:
        """Return the focal length [px] of a camera at a height; pixels are square."""
        return float(height_px / 2 / np.tan(np.radians(self.model.camera(camera).fovy[0]) / 2))

    def success(self, direction: Direction) -> bool:
        """Whether a direction of the task pair is done: the truth, for evaluation only."""
        return self.task.success(self.scene, direction)

    def truth(self) -> Truth:
        poses = {
            name: np.concatenate([self.data.body(name).xpos, self.data.body(name).xquat[[1, 2, 3, 0]]])
            for name in self.task.bodies
        }
        return Truth(self.seed, self.success("forward"), self.success("backward"), poses)

    def close(self) -> None:
        """Give the OpenGL context back."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


_LAB = 0
"""Seed of what stands about where looks do not vary: on one lab's table it stays."""


@dataclass(frozen=True)
class _Looks:
    """How a freshly compiled scene looks; each reset starts from it again."""

    colours: NDArray[np.float32]
    lamp_pos: NDArray[np.float64]
    lamp_diffuse: NDArray[np.float32]

    @classmethod
    def of(cls, model: mujoco.MjModel) -> _Looks:
        return cls(model.mat_rgba.copy(), model.light_pos.copy(), model.light_diffuse.copy())

    def vary(self, model: mujoco.MjModel, rng: np.random.Generator, params: SimParams) -> None:
        """Change colours, light, the front camera's pose and what stands about."""
        much = params.looks
        for i, colour in enumerate(self.colours):
            h, s, v = colorsys.rgb_to_hsv(*(float(c) for c in colour[:3]))
            dh, ds, dv = around(rng, (0, 0, 0), (0.03, 0.20, 0.20), much)
            model.mat_rgba[i, :3] = colorsys.hsv_to_rgb(
                (h + dh) % 1, np.clip(s * (1 + ds), 0, 1), np.clip(v * (1 + dv), 0, 1)
            )
        model.light_pos[:] = self.lamp_pos + around(rng, np.zeros(3), (0.5, 0.4, 0.2), much)
        model.light_diffuse[:] = self.lamp_diffuse * around(rng, 1.0, 0.35, much)
        eye = around(rng, FRONT_POS_M, (0.03, 0.03, 0.03), much)
        aim = around(rng, FRONT_AIM_M, (0.01, 0.01, 0.01), much)
        front = model.camera("front").id
        model.cam_pos[front], model.cam_quat[front] = eye, look_at(eye, aim)
        clutter = rng if much else np.random.default_rng(_LAB)
        for i, name in enumerate(DISTRACTORS):
            self._stand_about(model, clutter, name, side=-1 if i % 2 else 1, seen=i < params.distractors)

    @staticmethod
    def _stand_about(model: mujoco.MjModel, rng: np.random.Generator, name: str, side: int, seen: bool) -> None:
        size, hue = rng.uniform(0.012, 0.024), rng.uniform()
        x, y = rng.uniform(0.06, 0.42), side * rng.uniform(0.28, 0.36)
        model.geom_size[model.geom(name).id] = size
        model.mat_rgba[model.material(name).id, :3] = colorsys.hsv_to_rgb(
            hue, rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.8)
        )
        model.body_pos[model.body(name).id] = [x, y, size if seen else -0.5]
