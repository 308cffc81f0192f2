"""A board seen by a camera beside an arm: computed corners for the algebra, where pixels would only be slow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from armtune_calibration.board import BoardParams
from armtune_calibration.detect import Corners
from armtune_calibration.poses import Array, exp, inverse, pose
from armtune_calibration.views import SessionParams

SIZE_PX = (640, 480)
BOARD = BoardParams()


@dataclass(frozen=True)
class Made:
    """Corners computed, not seen: for the algebra, where pixels would only be slow."""

    views: list[Corners]
    moved: list[Array]
    x: Array
    z: Array
    focal_px: float


@dataclass(frozen=True)
class Taken:
    """A folder of rendered views, and where the camera really is."""

    folder: Path
    about: SessionParams
    truth: Array
    focal_px: float


def made(
    seed: int, count: int = 14, noise_px: float = 0.1, arm_m: float = 0.0, arm_rad: float = 0.0, one_axis: bool = False
) -> Made:
    """Return views of a pinhole of known focal length, each with where the tool was as the arm says it."""
    rng = np.random.default_rng(seed)
    focal, middle = 600.0, np.array([320.0, 240.0])
    x = pose([0.7, -0.1, 0.5], Rotation.from_euler("xyz", [-140, 3, 60], degrees=True))
    z = exp([-0.1, -0.07, 0.05, 0.02, 0.01, 0.3])
    views, moved = list[Corners](), list[NDArray[np.float64]]()
    start = pose([0.0, 0.0, 0.55], Rotation.identity())
    while len(views) < count:
        turn = rng.uniform(-0.6, 0.6, 3) * ([1, 0, 0] if one_axis else [1, 1, 1])
        step = [rng.uniform(-0.2, 0.05), rng.uniform(-0.15, 0.03), rng.uniform(-0.1, 0.15)]
        seen = pose(start[:3, 3] + step, Rotation.from_rotvec(turn))
        ahead = BOARD.corners_m @ seen[:3, :3].T + seen[:3, 3]
        px = ahead[:, :2] / ahead[:, 2:] * focal + middle + rng.normal(0, noise_px, (len(ahead), 2))
        inside = ((px > 5) & (px < np.array(SIZE_PX) - 5)).all(axis=1)
        if inside.sum() >= 10:
            ids = np.nonzero(inside)[0]
            views.append(Corners(ids, px[ids]))
            wrong = np.concatenate([rng.normal(0, arm_m, 3), rng.normal(0, arm_rad, 3)])
            moved.append(x @ seen @ inverse(z) @ exp(wrong))
    return Made(views, moved, x, z, focal)
