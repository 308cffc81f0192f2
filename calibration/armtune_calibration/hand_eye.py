"""Where a camera is on or beside an arm: closed-form starts by OpenCV's solvers, the best of them taken.

Both mounts are one problem, ``camera_from_board = inverse(X) @ M @ Z``:

* camera beside the arm, board in the hand: M is ``base_from_tool``, X ``base_from_camera``, Z ``tool_from_board``;
* camera on the tool, board on the table: M is ``tool_from_base``, X ``tool_from_camera``, Z ``base_from_board``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from .poses import Array, apart, inverse, mean, pose

MIN_VIEWS = 6
MIN_TURN_RAD = 0.12
"""How far the tool must have turned about a second axis, root mean square over pairs of views [rad]."""
HEIGHT_M = 0.3
"""A radian counts like this many metres where starts are compared."""
SOLVERS = {
    "Tsai": cv2.CALIB_HAND_EYE_TSAI,
    "Park": cv2.CALIB_HAND_EYE_PARK,
    "Horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "Daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}


def check_motion(moved: Sequence[Array]) -> None:
    """Refuse motions that cannot say where the camera is; ``moved`` are M (4, 4), one a view.

    Raises:
        ValueError: when there are too few, or the tool turned about one axis only (Tsai and Lenz, 1989).
    """
    if len(moved) < MIN_VIEWS:
        raise ValueError(f"expected at least {MIN_VIEWS} views with an arm pose, got {len(moved)}; take more")
    pairs = [(a, b) for i, a in enumerate(moved) for b in moved[i + 1 :]]
    turns = np.array([Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).as_rotvec() for a, b in pairs])
    spread = np.linalg.svd(turns / np.sqrt(len(turns)), compute_uv=False)
    if not spread[1] >= MIN_TURN_RAD:
        raise ValueError(
            f"expected poses whose tool turns about two axes, got {np.degrees(spread[0]):.0f} degrees about one and "
            f"{np.degrees(spread[1]):.1f} about a second: a plane motion leaves the camera's place open; "
            f"turn the tool about another axis, too, by 15 degrees or more"
        )


def starts(moved: Sequence[Array], seen: Sequence[Array]) -> dict[str, tuple[Array, Array]]:
    """Return X and Z by solver; ``seen`` are ``camera_from_board`` (4, 4), one a view. Some solvers may fail."""
    other = [inverse(m) for m in moved]
    asked = ([m[:3, :3] for m in other], [m[:3, 3] for m in other], [s[:3, :3] for s in seen], [s[:3, 3] for s in seen])
    found: dict[str, tuple[Array, Array]] = {}
    for name, method in SOLVERS.items():
        try:
            rotation, position = cv2.calibrateHandEye(*asked, method=method)
        except cv2.error:
            continue
        if not (np.isfinite(rotation).all() and np.isfinite(position).all()):
            continue
        x = pose(position.ravel(), Rotation.from_matrix(rotation))
        found[name] = (x, mean(np.array([m @ x @ s for m, s in zip(other, seen)])))
    return found


def best_start(moved: Sequence[Array], seen: Sequence[Array]) -> tuple[str, Array, Array]:
    """Return the solver whose X and Z explain the views best in the middle, and these.

    Raises:
        ValueError: when the motion cannot say, or no solver found anything.
    """
    check_motion(moved)
    found = starts(moved, seen)
    if not found:
        raise ValueError("no solver found where the camera is; take views whose tool turns about two axes")

    def off(name: str) -> float:
        x, z = found[name]
        gaps = [apart(s, inverse(x) @ m @ z) for m, s in zip(moved, seen)]
        return float(np.median([m + HEIGHT_M * rad for m, rad in gaps]))

    name = min(found, key=off)
    return name, *found[name]
