"""Poses of a hand from what messages carry. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import RobotParams

from .table import Refused

Array = NDArray[np.float64]
UNIT = 0.05
"""How far the length of a quaternion may be from 1."""


def pose(p: Sequence[float], q_xyzw: Sequence[float]) -> tuple[Array, Array]:
    """Return position [m] (3,) and rotation matrix (3, 3) of a position and a quaternion x y z w.

    Raises:
        Refused: when they are not finite, or the quaternion is not of length 1.
    """
    length = math.sqrt(sum(v * v for v in q_xyzw))
    if not (all(map(math.isfinite, p)) and abs(length - 1.0) <= UNIT):
        raise Refused(f"expected a finite pose with a unit quaternion, got {list(p)}, {list(q_xyzw)}")
    x, y, z, w = (v / length for v in q_xyzw)
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(p, float), np.array(rotation)


def joints_pose(kinematics: Kinematics, robot: RobotParams, at: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where the tool of a leader arm of the same kind is.

    Args:
        at: Joint positions [rad] by name.

    Raises:
        Refused: when a joint is missing or not finite.
    """
    joints = [at.get(name, math.nan) for name in robot.joints]
    if not all(map(math.isfinite, joints)):
        missing = [name for name, value in zip(robot.joints, joints) if not math.isfinite(value)]
        raise Refused(
            f"leader arm: expected a finite position of {missing[0]}; it must name its joints as the robot does"
        )
    return kinematics.tool_pose(joints)
