"""What a task is: objects, a scene per seed, and when each direction is done."""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import Direction

Vector = NDArray[np.float64]
Rng = np.random.Generator
CLEAR_M = 0.05
"""A hand further than this from what it held has let go; every predicate asks for it."""


class Scene:
    """The world as tasks and experts see it: positions in ``base_link``, which is the world frame."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model, self.data = model, data
        self._tool = model.site("tool0").id

    def tool(self) -> Vector:
        """Tool position [m], shape (3,)."""
        return self.data.site_xpos[self._tool].copy()

    def tool_rotation(self) -> Vector:
        """Tool orientation, a rotation matrix (3, 3)."""
        return self.data.site_xmat[self._tool].reshape(3, 3).copy()

    def position(self, body: str) -> Vector:
        """Position of a body [m], shape (3,)."""
        return self.data.body(body).xpos.copy()

    def rotation(self, body: str) -> Vector:
        """Orientation of a body, a rotation matrix (3, 3)."""
        return self.data.body(body).xmat.reshape(3, 3).copy()

    def within(self, body: str, point_m: Vector) -> Vector:
        """A point [m] (3,) in the frame of a body."""
        return self.rotation(body).T @ (point_m - self.position(body))

    def place(self, body: str, xy_m: Vector, yaw_rad: float) -> None:
        """Move a fixed body about the table; its height stays."""
        number = self.model.body(body).id
        self.model.body_pos[number, :2] = xy_m
        self.model.body_quat[number] = [np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)]

    def set_joint(self, joint: str, values: object) -> None:
        """Set a joint's coordinates and stop it."""
        self.data.joint(joint).qpos[:] = values
        self.data.joint(joint).qvel[:] = 0

    def speed(self, body: str) -> float:
        """How fast a body moves [m/s]."""
        return float(np.linalg.norm(self.data.body(body).cvel[3:]))

    def released(self, point_m: Vector) -> bool:
        """Whether the hand is clear of a point [m] (3,)."""
        return bool(np.linalg.norm(self.tool() - point_m) > CLEAR_M)


class Task(Protocol):
    """A pair of tasks that undo each other."""

    name: str
    bodies: tuple[str, ...]
    """Bodies whose poses are the truth of this task."""

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the objects to a scene that has the table and the arm."""

    def reset(self, scene: Scene, rng: Rng, direction: Direction, variation: float, lasting: Rng) -> None:
        """Place the objects so that ``direction`` is still to be done; ``variation`` 0..1 scales the ranges.

        What stands where it stands on one table, and how things feel, is drawn from ``lasting``, the rest from ``rng``.
        """

    def success(self, scene: Scene, direction: Direction) -> bool:
        """Whether ``direction`` is done and the hand has let go: geometry only, no memory."""


def around(rng: np.random.Generator, middle: object, half: object, variation: float) -> Vector:
    """Draw uniformly around a middle; always draws, so that one seed means one scene."""
    half_range = np.asarray(half, float)
    return np.asarray(middle, float) + variation * rng.uniform(-half_range, half_range)
