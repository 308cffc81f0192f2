"""A pot and its lid with a knob: put it on, take it off."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from armtune_policies.contract import Direction
from armtune_sim.shapes import CYLINDER, SEEN_ONLY, STIFF, box, paint, ring

from .base import Rng, Scene, Vector, around

POT_MIDDLE_M, TABLE_MIDDLE_M = (0.255, 0.095), (0.255, -0.095)
POT_TALL_M, PLUG_M = 0.042, 0.010
KNOB_M = 0.023
"""How far above the underside of the disc the knob is held."""
_INNER, _OUTER, _DISC, _PLUG = 0.041, 0.047, 0.050, 0.026
_TILT_RAD = 0.45
_JOINTS = ("lid_x", "lid_y", "lid_z", "lid_yaw", "lid_pitch", "lid_roll")


class Lid:
    """``forward`` puts the lid on the pot, ``backward`` takes it off. The pot is fixed; the lid cannot turn over."""

    name = "lid"
    bodies: tuple[str, ...] = ("lid", "pot")

    def build(self, spec: mujoco.MjSpec) -> None:
        paint(
            spec, pot=(0.30, 0.34, 0.40), pot_inside=(0.92, 0.88, 0.78), lid=(0.87, 0.42, 0.10), knob=(0.12, 0.12, 0.13)
        )
        pot = spec.worldbody.add_body(name="pot", pos=[*POT_MIDDLE_M, 0])
        ring(pot, "pot", _INNER, _OUTER, POT_TALL_M)
        pot.add_geom(type=CYLINDER, size=[_INNER, 0.001, 0], pos=[0, 0, 0.001], material="pot_inside", **SEEN_ONLY)
        for side in (-1, 1):
            low, high = sorted((side * _OUTER, side * (_OUTER + 0.014)))
            box(pot, "pot", (low, -0.014, 0.028), (high, 0.014, 0.034))
        self._lid(spec.worldbody.add_body(name="lid", pos=[0, 0, 0]))

    def _lid(self, lid: Any) -> None:
        slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
        axes = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
        kinds = [slide] * 3 + [hinge] * 3
        for name, kind, axis in zip(_JOINTS, kinds, axes):
            tilt = {"range": [-_TILT_RAD, _TILT_RAD]} if name in ("lid_pitch", "lid_roll") else {}
            lid.add_joint(name=name, type=kind, axis=list(axis), damping=2e-4 if kind == hinge else 0.02, **tilt)
        lid.mass, lid.ipos, lid.inertia, lid.explicitinertial = 0.08, [0, 0, 0.002], [5e-5, 5e-5, 9e-5], True
        lid.add_geom(name="disc", type=CYLINDER, size=[_DISC, 0.003, 0], pos=[0, 0, 0.003], material="lid", **STIFF)
        lid.add_geom(type=CYLINDER, size=[_PLUG, PLUG_M / 2, 0], pos=[0, 0, -PLUG_M / 2], material="lid", **STIFF)
        lid.add_geom(type=CYLINDER, size=[0.011, 0.016, 0], pos=[0, 0, 0.022], material="knob", condim=4, **STIFF)

    def reset(self, scene: Scene, rng: Rng, direction: Direction, variation: float, lasting: Rng) -> None:
        pot = around(lasting, POT_MIDDLE_M, (0.03, 0.02), variation)
        off = around(rng, TABLE_MIDDLE_M, (0.05, 0.045), variation)
        on = pot + around(rng, (0, 0), (0.005, 0.005), variation)
        scene.place("pot", pot, around(lasting, 0, 0.8, variation).item())
        xyz = (*off, PLUG_M) if direction == "forward" else (*on, POT_TALL_M)
        for joint, value in zip(_JOINTS, (*xyz, around(rng, 0, 3.0, variation).item(), 0, 0)):
            scene.set_joint(joint, value)
        scene.model.body_mass[scene.model.body("lid").id] = around(lasting, 0.08, 0.03, variation).item()

    def success(self, scene: Scene, direction: Direction) -> bool:
        return scene.released(knob(scene)) and scene.speed("lid") < 0.08 and lies(scene, direction)


def knob(scene: Scene) -> Vector:
    """Where the knob is held [m], shape (3,)."""
    return scene.position("lid") + scene.rotation("lid") @ np.array([0, 0, KNOB_M])


def lies(scene: Scene, direction: Direction) -> bool:
    """Whether the lid lies level where ``direction`` wants it, in a hand or not."""
    lid, level = scene.position("lid"), scene.rotation("lid")[2, 2] > np.cos(0.12)
    apart_m = float(np.linalg.norm(lid[:2] - scene.position("pot")[:2]))
    if direction == "forward":
        return bool(level and apart_m < 0.02 and abs(lid[2] - POT_TALL_M) < 0.005)
    return bool(level and apart_m > _DISC + _OUTER and abs(lid[2] - PLUG_M) < 0.005)
