"""Where the tool may be, from points it touched; and how far the gripper goes, from watching it open and close."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .record import GripperRecord, WorkspaceRecord

LEAST_SIDE_M, MOST_TILT_RAD, MOST_OFF_M = 0.05, 0.10, 0.006
LEAST_TRAVEL_M, ENDS = 0.005, 0.05


def workspace(touched_m: ArrayLike, height_m: float = 0.25, margin_m: float = 0.0) -> WorkspaceRecord:
    """Return the box above a table whose corners the tool touched.

    Args:
        touched_m: Tool positions in the base frame [m], (N, 3), N >= 3: the outermost points of the table in use.
        height_m: How high the box is above the table.
        margin_m: How far it stays inside the touched points.

    Raises:
        ValueError: when the points span no box, or lie on no table.
    """
    points = np.asarray(touched_m, float)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"touched points: expected finite numbers (N, 3), got shape {points.shape}")
    if len(points) < 3:
        raise ValueError(
            f"touched points: expected at least 3, got {len(points)}; touch each corner of the table in use"
        )
    low, high = points.min(axis=0), points.max(axis=0)
    low[:2], high[:2] = low[:2] + margin_m, high[:2] - margin_m
    if not (high[:2] - low[:2] >= LEAST_SIDE_M).all():
        raise ValueError(
            f"touched points: expected sides of {LEAST_SIDE_M} m at least, got {high[0] - low[0]:.3f} x "
            f"{high[1] - low[1]:.3f} m; touch points further apart"
        )
    plane, *_ = np.linalg.lstsq(np.column_stack([points[:, :2], np.ones(len(points))]), points[:, 2], rcond=None)
    tilt = float(np.arctan(np.linalg.norm(plane[:2])))
    off = np.abs(np.column_stack([points[:, :2], np.ones(len(points))]) @ plane - points[:, 2]).max()
    if not (tilt <= MOST_TILT_RAD and off <= MOST_OFF_M):
        raise ValueError(
            f"touched points: expected one level table, got a tilt of {np.degrees(tilt):.1f} degrees and points up to "
            f"{1e3 * off:.0f} mm off it; touch the table itself, with the gripper shut"
        )
    table = float(points[:, 2].max())
    (x0, y0), (x1, y1) = low[:2].tolist(), high[:2].tolist()
    return WorkspaceRecord(low_m=(x0, y0, table), high_m=(x1, y1, table + height_m), tilt_rad=tilt)


def gripper(finger_m: ArrayLike, closed_at_m: float) -> GripperRecord:
    """Return the ends between which a finger went.

    Args:
        finger_m: Finger positions [m] (N,) while the gripper was opened and closed, resting at both ends.
        closed_at_m: Where it is thought to be closed: tells which end is which.

    Raises:
        ValueError: when it did not go to and fro, or rested nowhere.
    """
    readings = np.asarray(finger_m, float)
    if readings.ndim != 1 or len(readings) < 20 or not np.isfinite(readings).all():
        raise ValueError(f"finger positions: expected at least 20 finite readings, got {len(readings)}")
    low, high = readings.min(), readings.max()
    if not high - low >= LEAST_TRAVEL_M:
        raise ValueError(
            f"finger positions: expected {1e3 * LEAST_TRAVEL_M:g} mm of travel at least, got {1e3 * (high - low):.1f} "
            "mm; open and close the gripper all the way"
        )
    ends = []
    for end in (low, high):
        near = readings[np.abs(readings - end) <= ENDS * (high - low)]
        if len(near) < 5:
            raise ValueError(
                f"finger positions: expected it to rest at {1e3 * end:.1f} mm, it did not; wait at both ends"
            )
        ends.append(float(np.median(near)))
    closed, opened = sorted(ends, key=lambda end: abs(end - closed_at_m))
    return GripperRecord(closed_m=closed, open_m=opened)
