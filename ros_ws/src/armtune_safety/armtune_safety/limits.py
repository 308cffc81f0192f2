"""The limits of one target: refuse what is no number, then clamp. Pure.

Each limit returns the value and the name of the limit if it acted, else "". A limit never
traps the arm: outside a bound, motion back towards it passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import rotations

Array = NDArray[np.float64]


def unreadable(values: Sequence[float], count: int) -> str:
    """Return why ``values`` are not ``count`` finite numbers, or "". Comes before any clamp."""
    if len(values) != count:
        return f"expected {count} numbers, got {len(values)}"
    for i, value in enumerate(values):
        if not math.isfinite(value):
            return f"expected finite numbers, got {value} at place {i}"
    return ""


def bounds(delta: Array, high: ArrayLike) -> tuple[Array, str]:
    """Shrink a tool delta (6,) [m, rad] into the action's box, keeping both directions."""
    moved = delta.copy()
    for part in (slice(0, 3), slice(3, 6)):
        with np.errstate(over="ignore"):  # 1e308 is finite; its direction is not worth keeping
            excess = np.max(np.abs(delta[part]) / np.asarray(high)[part])
        if not excess <= 1.0:
            moved[part] /= excess
    return moved, "" if np.array_equal(moved, delta) else "action bounds"


def length(vector: Array, longest: float, name: str) -> tuple[Array, str]:
    """Shorten a vector (3,) to ``longest``, keeping its direction."""
    size = float(np.linalg.norm(vector))
    return (vector, "") if size <= longest else (vector * (longest / size), name)


def opening(value: float) -> tuple[float, str]:
    """Keep a gripper opening within 0 closed .. 1 open."""
    kept = min(max(value, 0.0), 1.0)
    return kept, "" if kept == value else "gripper range"


def position(target_m: Array, ref_m: Array, low_m: ArrayLike, high_m: ArrayLike) -> tuple[Array, str]:
    """Clamp a tool position (3,) [m, base frame] to the workspace's faces, sliding along them.

    From outside the box, the face is where ``ref_m`` is: back in is free, further out is not.
    """
    kept = np.clip(target_m, np.minimum(low_m, ref_m), np.maximum(high_m, ref_m))
    return kept, "" if np.array_equal(kept, target_m) else "workspace"


def orientation(target: Array, ref: Array, centre: Array, widest_rad: float) -> tuple[Array, str]:
    """Keep a tool rotation (3, 3) within ``widest_rad`` of ``centre``, by rotation, not by axis."""
    widest = max(widest_rad, rotations.angle_rad(centre, ref))
    angle = rotations.angle_rad(centre, target)
    if angle <= widest:
        return target, ""
    away = rotations.log(target @ centre.T)
    return rotations.exp(away * (widest / angle)) @ centre, "tool orientation"


def joints(q_rad: Array, low_rad: Array, high_rad: Array) -> tuple[Array, str]:
    """Clamp joint positions (dof,) to their limits, margins included."""
    kept = np.clip(q_rad, low_rad, high_rad)
    return kept, "" if np.array_equal(kept, q_rad) else "joint limits"


def joint_room(q_rad: Array, low_rad: ArrayLike, high_rad: ArrayLike) -> float:
    """How far [rad] the nearest joint (dof,) is from its limit; negative outside."""
    return float(np.min(np.minimum(q_rad - np.asarray(low_rad), np.asarray(high_rad) - q_rad)))


def reachable_rad(max_velocity: Array, max_acceleration: Array, max_jerk: Array, within_s: float) -> Array:
    """How far joints get from rest to rest in a time, at limited speed v, acceleration a and jerk j.

    The speed rises in a ramp, stays, and falls in the ramp's mirror image, so the distance is
    peak speed x (time - length of a ramp). A ramp is as long as half the time, or as v takes.
    In a time t the speed reaches j (t / 2)^2 while the jerk alone limits it (t <= 2 a / j),
    then a (t - a / j); solved for t that is 2 sqrt(v / j) or v / a + a / j. The profile is the
    seven-segment one of Biagiotti and Melchiorri, Trajectory Planning for Automatic Machines
    and Robots (2008), section 3.4; the tests hold it against Ruckig.
    """
    v, a, j = max_velocity, max_acceleration, max_jerk
    to_full = np.where(v * j <= a**2, 2.0 * np.sqrt(v / j), v / a + a / j)
    ramp = np.minimum(within_s / 2.0, to_full)
    peak = np.where(ramp <= 2.0 * a / j, j * ramp**2 / 4.0, a * (ramp - a / j))
    return peak * (within_s - ramp)


def joint_step(q_from_rad: Array, q_to_rad: Array, longest_rad: Array) -> tuple[Array, str]:
    """Shorten a joint move (dof,) so that no joint goes further than its ``longest_rad``."""
    gap = q_to_rad - q_from_rad
    excess = float(np.max(np.abs(gap) / longest_rad))
    return (q_to_rad, "") if excess <= 1.0 else (q_from_rad + gap / excess, "joint speed")


def outside(p_m: ArrayLike, low_m: Sequence[float], high_m: Sequence[float]) -> float:
    """How far [m] a position (3,) is outside a box, along its worst axis; negative inside."""
    return max(max(low - p, p - high) for p, low, high in zip(np.asarray(p_m).tolist(), low_m, high_m))
