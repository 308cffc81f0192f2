"""Rigid transforms as (4, 4) matrices, named ``parent_from_child``; vectors of six are [m, m, m, rad, rad, rad]."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def pose(position_m: ArrayLike, rotation: Rotation) -> Array:
    """Return the transform of a position [m] (3,) and a rotation."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation.as_matrix(), position_m
    return made


def from_quaternion(position_m: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Return the transform of a position [m] (3,) and a quaternion x y z w.

    Raises:
        ValueError: for numbers that are not finite, or a quaternion whose norm is not 1 within 1 %.
    """
    p, q = np.asarray(position_m, float), np.asarray(quaternion_xyzw, float)
    if p.shape != (3,) or q.shape != (4,) or not (np.isfinite(p).all() and abs(np.linalg.norm(q) - 1.0) < 0.01):
        raise ValueError(f"pose: expected 3 finite metres and a unit quaternion x y z w, got {p.tolist()} {q.tolist()}")
    return pose(p, Rotation.from_quat(q))


def to_quaternion(transform: Array) -> tuple[Array, Array]:
    """Return position [m] (3,) and quaternion x y z w (4,), w not negative."""
    return transform[:3, 3].copy(), Rotation.from_matrix(transform[:3, :3]).as_quat(canonical=True)


def exp(six: ArrayLike) -> Array:
    """Return the transform whose position is ``six[:3]`` [m] and whose rotation vector is ``six[3:]`` [rad]."""
    six = np.asarray(six, float)
    return pose(six[:3], Rotation.from_rotvec(six[3:]))


def log(transform: Array) -> Array:
    """Return position [m] and rotation vector [rad], (6,): what ``exp`` takes."""
    return np.concatenate([transform[:3, 3], Rotation.from_matrix(transform[:3, :3]).as_rotvec()])


def inverse(transform: Array) -> Array:
    """Return ``b_from_a`` of ``a_from_b``."""
    made = np.eye(4)
    made[:3, :3] = transform[:3, :3].T
    made[:3, 3] = -made[:3, :3] @ transform[:3, 3]
    return made


def apart(a: Array, b: Array) -> tuple[float, float]:
    """Return how far two poses of one frame are from each other: [m], [rad]."""
    gap = log(inverse(a) @ b)
    return float(np.linalg.norm(gap[:3])), float(np.linalg.norm(gap[3:]))


def mean(transforms: Array) -> Array:
    """Return the mean of like transforms (N, 4, 4): of positions, and of rotations by the chordal distance."""
    return pose(transforms[:, :3, 3].mean(axis=0), Rotation.from_matrix(transforms[:, :3, :3]).mean())


def skew(vectors: Array) -> Array:
    """Return the cross-product matrices (N, 3, 3) of vectors (N, 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack([o, -z, y], -1), np.stack([z, o, -x], -1), np.stack([-y, x, o], -1)], -2)
