"""A small cabinet with one drawer: open it, close it."""

from __future__ import annotations

import mujoco
import numpy as np

from armtune_policies.contract import Direction
from armtune_sim.shapes import CAPSULE, SEEN_ONLY, box, paint

from .base import Rng, Scene, Vector, around

TRAVEL_M = 0.10
OPEN_M, SHUT_M = 0.075, 0.012
TAB_M = (0.0, -0.003, 0.075)
"""Where the tab is held, in the drawer's frame."""
_DEPTH, _HALF, _HEIGHT, _WALL = 0.12, 0.070, 0.050, 0.005


class Drawer:
    """``forward`` opens, ``backward`` closes. The drawer slides along -y of the cabinet."""

    name = "drawer"
    bodies: tuple[str, ...] = ("cabinet", "drawer")

    def build(self, spec: mujoco.MjSpec) -> None:
        paint(
            spec,
            cabinet=(0.16, 0.42, 0.52),
            inside=(0.96, 0.80, 0.25),
            tab=(0.85, 0.16, 0.12),
            front=(0.93, 0.93, 0.90),
        )
        cabinet = spec.worldbody.add_body(name="cabinet", pos=[0.25, 0.045, 0])
        back, side, top = _DEPTH, _HALF, _HEIGHT
        box(cabinet, "cabinet", (-side, 0.006, top - _WALL), (side, back, top))
        box(cabinet, "cabinet", (-side, 0.0, 0.0), (-side + _WALL, back, top - _WALL))
        box(cabinet, "cabinet", (side - _WALL, 0.0, 0.0), (side, back, top - _WALL))
        box(cabinet, "cabinet", (-side, back, 0.0), (side, back + _WALL, top))
        self._drawer(cabinet)

    def _drawer(self, cabinet: object) -> None:
        drawer = cabinet.add_body(name="drawer")  # type: ignore[attr-defined]
        drawer.add_joint(
            name="drawer",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, -1, 0],
            range=[0, TRAVEL_M],
            damping=4,
            frictionloss=1.0,
        )
        drawer.mass, drawer.ipos, drawer.inertia = 0.25, [0, 0.04, 0.02], [8e-4, 6e-4, 1e-3]
        drawer.explicitinertial = True
        side, back, top = _HALF - _WALL - 0.002, _DEPTH - 0.008, _HEIGHT - _WALL - 0.004
        free = {"contype": 1, "conaffinity": 2}  # meets the arm, not the cabinet it slides in
        box(drawer, "inside", (-side, 0, 0.004), (side, back, 0.008), **free)
        box(drawer, "inside", (-side, 0, 0.008), (-side + 0.004, back, top), **free)
        box(drawer, "inside", (side - 0.004, 0, 0.008), (side, back, top), **free)
        box(drawer, "inside", (-side, back - 0.004, 0.008), (side, back, top), **free)
        box(drawer, "front", (-_HALF, -0.007, 0.002), (_HALF, 0.0, _HEIGHT - 0.002), **free)
        box(drawer, "tab", (-0.022, -0.009, _HEIGHT - 0.006), (0.022, 0.003, 0.092), **free)
        drawer.add_geom(
            type=CAPSULE,
            fromto=[-0.03, 0.05, 0.016, 0.02, 0.07, 0.016],
            size=[0.008, 0, 0],
            material="cabinet",
            **SEEN_ONLY,
        )

    def reset(self, scene: Scene, rng: Rng, direction: Direction, variation: float, lasting: Rng) -> None:
        scene.place(
            "cabinet",
            around(lasting, (0.25, 0.045), (0.03, 0.025), variation),
            around(lasting, 0, 0.15, variation).item(),
        )
        shut, out = around(rng, 0.004, 0.004, variation), around(rng, 0.088, 0.010, variation)
        scene.set_joint("drawer", shut if direction == "forward" else out)
        dof = scene.model.joint("drawer").dofadr[0]
        scene.model.dof_frictionloss[dof] = around(lasting, 1.0, 0.5, variation).item()
        scene.model.dof_damping[dof] = around(lasting, 4.0, 2.0, variation).item()

    def success(self, scene: Scene, direction: Direction) -> bool:
        out_m = float(scene.data.joint("drawer").qpos[0])
        if not scene.released(tab(scene)):
            return False
        return out_m > OPEN_M if direction == "forward" else out_m < SHUT_M


def tab(scene: Scene) -> Vector:
    """Where the tab is [m], shape (3,)."""
    return scene.position("drawer") + scene.rotation("drawer") @ np.array(TAB_M)
