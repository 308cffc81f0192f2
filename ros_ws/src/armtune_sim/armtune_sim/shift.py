"""Another table than the one trained on: one thing of it changed, the same in every scene."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who only wants a name does not load MuJoCo: MUJOCO_GL is looked at before
    import mujoco

    from .tasks import Task

NONE = "none"
CAMERA_M, MASS, FRICTION, LIGHT = (0.0, 0.03, 0.0), 1.5, 0.5, 0.4


def _camera(model: mujoco.MjModel, task: Task) -> None:
    """Somebody bumped the front camera: 3 cm to the side, looking the same way."""
    model.cam_pos[model.camera("front").id] += CAMERA_M


def _object(model: mujoco.MjModel, task: Task) -> None:
    """Another thing is moved: of the opposite colour, and half as heavy again."""
    moved = [body for body in (model.body(name).id for name in task.bodies) if model.body_dofnum[body]]
    materials = {int(model.geom_matid[geom]) for geom in range(model.ngeom) if model.geom_bodyid[geom] in moved}
    for material in materials - {-1}:
        h, s, v = colorsys.rgb_to_hsv(*(float(c) for c in model.mat_rgba[material, :3]))
        model.mat_rgba[material, :3] = colorsys.hsv_to_rgb((h + 0.5) % 1, s, v)
    model.body_mass[moved] *= MASS
    model.body_inertia[moved] *= MASS


def _friction(model: mujoco.MjModel, task: Task) -> None:
    """What is touched is half as rough; what slides in a guide goes twice as hard."""
    bodies = [model.body(name).id for name in task.bodies]
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] in bodies:
            model.geom_friction[geom, 0] *= FRICTION
    for dof in range(model.nv):
        if model.dof_bodyid[dof] in bodies:
            model.dof_frictionloss[dof] /= FRICTION


def _light(model: mujoco.MjModel, task: Task) -> None:
    """The lamps give less than half, as in the evening."""
    model.light_diffuse[:] *= LIGHT


_TOUCHED = ("body_mass", "body_inertia", "geom_friction", "dof_frictionloss")
"""What a scene is not made anew with, from seed to seed."""

SHIFTS: Mapping[str, Callable[[mujoco.MjModel, Task], None]] = {
    NONE: lambda model, task: None,
    "camera": _camera,
    "object": _object,
    "friction": _friction,
    "light": _light,
}
"""By name; each changes a scene just made."""


class Shift:
    """Changes each scene that was just made, from the same beginning.

    Args:
        model: As it was compiled.
        task: Whose things it holds.
        name: One of ``SHIFTS``.
    """

    def __init__(self, model: mujoco.MjModel, task: Task, name: str) -> None:
        self._model, self._task, self._change = model, task, SHIFTS[name]
        self._was = {field: getattr(model, field).copy() for field in _TOUCHED} if name != NONE else {}

    def undo(self) -> None:
        """Before a scene is made: forget what was changed for the last."""
        for field, was in self._was.items():
            getattr(self._model, field)[:] = was

    def make(self) -> None:
        """After a scene is made."""
        self._change(self._model, self._task)
