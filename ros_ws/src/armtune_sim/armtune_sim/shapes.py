"""Shapes that MuJoCo has no primitive for, made of convex pieces; and paint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

Colour = tuple[float, float, float]
BOX, CYLINDER, CAPSULE, SPHERE, MESH, PLANE = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_MESH,
    mujoco.mjtGeom.mjGEOM_PLANE,
)
SEEN_ONLY: Mapping[str, int] = {"contype": 0, "conaffinity": 0}

STIFF: Mapping[str, Any] = {"solref": [0.004, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0], "solmix": 100.0}
"""Of what is light and moved: by MuJoCo's default a finger of 50 N pushes 50 g 27 mm into the table, and it flies.
It says how stiff contacts are (two time steps of 2 ms, the least), not their friction; fingers of priority 1 rule."""


def paint(spec: mujoco.MjSpec, **colours: Colour) -> None:
    """Add one material per name; geoms of one material change colour together."""
    for name, colour in colours.items():
        spec.add_material(name=name, rgba=[*colour, 1.0], specular=0.15, shininess=0.2)


def box(body: Any, material: str, low: Sequence[float], high: Sequence[float], **more: Any) -> Any:
    """Add a box by two opposite corners [m] in the body's frame."""
    a, b = np.array(low, float), np.array(high, float)
    return body.add_geom(type=BOX, pos=(a + b) / 2, size=(b - a) / 2, material=material, **more)


def dam(
    spec: mujoco.MjSpec, body: Any, name: str, material: str, height_m: float, halves_m: Sequence[tuple[float, float]]
) -> None:
    """Add a wall with sloping sides around a rectangle: four mitred convex pieces.

    Args:
        halves_m: Half sizes (x, y) [m] of four rectangles: inner foot, inner top, outer top, outer foot.
    """
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
    heights = (0.0, height_m, height_m, 0.0)
    for side in range(4):
        two = corners[[side, (side + 1) % 4]]
        vertices = [(x * hx, y * hy, z) for (hx, hy), z in zip(halves_m, heights) for x, y in two]
        mesh = spec.add_mesh(name=f"{name}_{side}", uservert=np.array(vertices, float).ravel())
        body.add_geom(type=MESH, meshname=mesh.name, material=material)


def ring(
    body: Any, material: str, inner_m: float, outer_m: float, height_m: float, pieces: int = 16, **more: Any
) -> None:
    """Add a tube standing at z = 0 out of boxes."""
    middle, half = (inner_m + outer_m) / 2, (outer_m - inner_m) / 2
    width = outer_m * math.tan(math.pi / pieces)
    for i in range(pieces):
        angle = 2 * math.pi * i / pieces
        body.add_geom(
            type=BOX,
            pos=[middle * math.cos(angle), middle * math.sin(angle), height_m / 2],
            quat=[math.cos(angle / 2), 0, 0, math.sin(angle / 2)],
            size=[half, width, height_m / 2],
            material=material,
            **more,
        )
