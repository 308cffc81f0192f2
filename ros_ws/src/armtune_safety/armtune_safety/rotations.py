"""Rotations as matrices and rotation vectors, exact near 0 and near pi.

Written out in plain numbers: one rotation at a time is what the gate turns, hundreds a
period, and array libraries spend their time elsewhere. The tests hold it against scipy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def exp(vector_rad: ArrayLike) -> Array:
    """Return the rotation matrix (3, 3) of a rotation vector [rad] (3,).

    Rodrigues: R = 1 + a K + b K^2 with a = sin t / t, b = (1 - cos t) / t^2 = 2 sin^2(t / 2) / t^2.
    """
    x, y, z = np.asarray(vector_rad, float).tolist()
    t = math.hypot(x, y, z)
    a, b = (math.sin(t) / t, 2.0 * (math.sin(t / 2.0) / t) ** 2) if t > 1e-9 else (1.0, 0.5)
    return np.array(
        [
            [1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
            [b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x],
            [b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y)],
        ]
    )


def log(rotation: ArrayLike) -> Array:
    """Return the rotation vector [rad] (3,), of length 0 to pi, of a rotation matrix (3, 3).

    By way of the quaternion whose largest part is computed first (Shepperd 1978), which
    loses no digits at any angle.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation).tolist()
    largest = max(xx + yy + zz, xx, yy, zz)
    if largest == xx:
        x, y, z, w = 1.0 + xx - yy - zz, xy + yx, zx + xz, zy - yz
    elif largest == yy:
        x, y, z, w = xy + yx, 1.0 - xx + yy - zz, yz + zy, xz - zx
    elif largest == zz:
        x, y, z, w = zx + xz, yz + zy, 1.0 - xx - yy + zz, yx - xy
    else:
        x, y, z, w = zy - yz, xz - zx, yx - xy, 1.0 + xx + yy + zz
    sine, cosine = math.copysign(math.hypot(x, y, z), w), abs(w)  # of half the angle, both times one factor
    factor = 2.0 * math.atan2(abs(sine), cosine) / sine if sine else 0.0
    return np.array([x * factor, y * factor, z * factor])


def angle_rad(a: Array, b: Array) -> float:
    """Return the angle [rad] between two rotation matrices (3, 3)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (b @ a.T).tolist()
    return math.atan2(math.hypot(zy - yz, xz - zx, yx - xy), xx + yy + zz - 1.0)  # 2 sin, 2 cos
