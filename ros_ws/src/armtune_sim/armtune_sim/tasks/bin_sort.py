"""A peg that rights itself and a bin with sloping walls: put it in, take it out."""

from __future__ import annotations

import mujoco
import numpy as np

from armtune_policies.contract import Direction
from armtune_sim.shapes import BOX, CAPSULE, SEEN_ONLY, STIFF, dam, paint

from .base import Rng, Scene, Vector, around

RADIUS_M, HALF_M = 0.014, 0.014
TALL_M = 2 * (RADIUS_M + HALF_M)
GRASP_M = 0.006
"""How far above its middle the peg is held."""
BIN_MIDDLE_M, BIN_HALF_M = (0.255, 0.115), (0.042, 0.042)
TABLE_MIDDLE_M, TABLE_HALF_M = (0.255, -0.10), (0.065, 0.065)
_WALL_M = 0.028
_FEET_M = (0.0, 0.020, 0.027, 0.036)


class BinSort:
    """``forward`` puts the peg from the table into the bin, ``backward`` takes it out."""

    name = "bin_sort"
    bodies: tuple[str, ...] = ("peg", "bin")

    def build(self, spec: mujoco.MjSpec) -> None:
        paint(
            spec, bin=(0.18, 0.38, 0.66), bin_floor=(0.42, 0.62, 0.86), peg=(0.90, 0.18, 0.10), band=(0.98, 0.93, 0.75)
        )
        holder = spec.worldbody.add_body(name="bin", pos=[*BIN_MIDDLE_M, 0])
        dam(spec, holder, "bin", "bin", _WALL_M, [(BIN_HALF_M[0] + d, BIN_HALF_M[1] + d) for d in _FEET_M])
        holder.add_geom(type=BOX, size=[*BIN_HALF_M, 0.0002], pos=[0, 0, 0.0002], material="bin_floor", **SEEN_ONLY)
        peg = spec.worldbody.add_body(name="peg", pos=[*TABLE_MIDDLE_M, TALL_M / 2])
        peg.add_freejoint(name="peg")
        # The centre of mass lies outside the stretch it could lie on: it stands up by itself.
        peg.mass, peg.ipos, peg.inertia, peg.explicitinertial = 0.05, [0, 0, -0.019], [1e-5, 1e-5, 6e-6], True
        peg.add_geom(
            name="peg",
            type=CAPSULE,
            size=[RADIUS_M, HALF_M, 0],
            material="peg",
            condim=6,
            friction=[0.8, 0.005, 0.0003],
            **STIFF,
        )
        ends = [0, 0, 0.006, 0, 0, 0.014]
        peg.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=ends, size=[RADIUS_M + 4e-4, 0, 0], material="band", **SEEN_ONLY
        )

    def reset(self, scene: Scene, rng: Rng, direction: Direction, variation: float, lasting: Rng) -> None:
        scene.place(
            "bin", around(lasting, BIN_MIDDLE_M, (0.02, 0.015), variation), around(lasting, 0, 0.12, variation).item()
        )
        on_table = around(rng, TABLE_MIDDLE_M, TABLE_HALF_M, variation)
        in_bin = scene.model.body("bin").pos[:2] + around(rng, (0, 0), (0.02, 0.02), variation)
        xy = on_table if direction == "forward" else in_bin
        scene.set_joint("peg", [*xy, TALL_M / 2 + 0.001, 1, 0, 0, 0])
        scene.model.body_mass[scene.model.body("peg").id] = around(lasting, 0.05, 0.02, variation).item()
        scene.model.geom_friction[scene.model.geom("peg").id, 0] = around(lasting, 0.8, 0.25, variation).item()

    def success(self, scene: Scene, direction: Direction) -> bool:
        return scene.released(held_at(scene)) and scene.speed("peg") < 0.08 and stands(scene, direction)


def held_at(scene: Scene) -> Vector:
    """Where the peg is held [m], shape (3,)."""
    return scene.position("peg") + np.array([0, 0, GRASP_M])


def stands(scene: Scene, direction: Direction) -> bool:
    """Whether the peg stands where ``direction`` wants it, in a hand or not."""
    peg = scene.within("bin", scene.position("peg"))
    reach = np.abs(peg[:2]) - np.array(BIN_HALF_M)
    there = np.all(reach < 0.010) if direction == "forward" else np.any(reach > _FEET_M[-1])
    return bool(there and peg[2] < TALL_M / 2 + 0.008)
