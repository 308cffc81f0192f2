"""Taking views: keep a picture when the arm rests at a new pose and the board is seen, and say what is still wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from armtune_calibration.coverage import Coverage, coverage
from armtune_calibration.detect import Corners, detect
from armtune_calibration.offset import change, time_offset
from armtune_calibration.plan import is_new
from armtune_calibration.poses import Array, pose
from armtune_calibration.record import Calibration, OffsetRecord, load, newest
from armtune_calibration.solve import MOST_SPEED_RAD_S
from armtune_calibration.views import Session, read_views
from armtune_policies.contract import ConfigError
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import RobotParams

if TYPE_CHECKING:
    from .watching_node import Joints

REST_S = 0.4
"""The arm must have rested for so long before a picture is taken: longer than a camera lags."""


class Capture:
    """Fills a session's folder; what is there already counts.

    Args:
        say: Where lines for the person go.
    """

    def __init__(
        self, session: Session, robot: RobotParams, mjcf: str | Path, size_px: tuple[int, int],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._session, self._robot, self._say, self._size_px = session, robot, say, size_px
        self._kinematics = Kinematics(robot, mjcf)
        self._views, self._poses = list[Corners](), list[Array]()
        self._moved_ns: int | None = None
        for view in read_views(session.folder):
            where = view.about.base_from_tool
            self._views.append(detect(view.picture(), session.about.board))
            self._poses += [where] if where is not None else []

    @property
    def coverage(self) -> Coverage:
        seen = [view for view in self._views if len(view)]
        return coverage(seen, self._session.about.board, self._size_px)

    def joints(self, names: Sequence[str], positions: Sequence[float]) -> Array:
        """Return the arm's joints [rad] (dof,) in the robot's order.

        Raises:
            ConfigError: when one is missing.
        """
        by_name = dict(zip(names, positions))
        if missing := [name for name in self._robot.joints if name not in by_name]:
            raise ConfigError(f"joint_states: expected {', '.join(self._robot.joints)}, got no {missing[0]}")
        return np.array([by_name[name] for name in self._robot.joints])

    def tool_pose(self, joints: NDArray[np.float64]) -> Array:
        """Return ``base_from_tool`` (4, 4) of joints (dof,)."""
        p, r = self._kinematics.tool_pose(joints)
        return pose(p, Rotation.from_matrix(r))

    def offer(
        self, picture: NDArray[np.uint8], image_ns: int, joints: NDArray[np.float64], speed_rad_s: float, joints_ns: int
    ) -> bool:
        """Keep a view if it is worth it: the arm has rested, the pose is new, the board is seen. True if kept."""
        if self._moved_ns is None or not speed_rad_s <= MOST_SPEED_RAD_S:
            self._moved_ns = joints_ns if speed_rad_s > MOST_SPEED_RAD_S else joints_ns - round(REST_S * 1e9)
        where = self.tool_pose(joints)
        if (image_ns - self._moved_ns) / 1e9 < REST_S or not is_new(where, self._poses):
            return False
        corners = detect(picture, self._session.about.board)
        if not len(corners):
            return False
        self._session.add(picture, image_ns, joints_ns, speed_rad_s, where)
        self._views.append(corners)
        self._poses.append(where)
        self._say(self.coverage.meter())
        return True


def began(robot_id: str, robot: str, root: Path | None = None) -> Calibration:
    """Return the newest calibration of a robot to go on from, or an empty one.

    Raises:
        ConfigError: when the newest cannot be used, or is of another kind of robot.
    """
    if (path := newest(robot_id, root)) is None:
        return Calibration(robot_id=robot_id, robot=robot, made="")
    if (found := load(path)).robot != robot:
        raise ConfigError(f"{path}: measured on a {found.robot}, not a {robot}; choose another --robot-id")
    return replace(found, made="")


class Pairs:
    """Puts each picture together with the joint state nearest to its stamp, and offers both."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._recent: deque[Joints] = deque(maxlen=100)

    @property
    def views(self) -> int:
        return self._capture.coverage.views

    def joints(self, joints: Joints) -> None:
        self._recent.append(joints)

    def picture(self, stamp_ns: int, picture: NDArray[np.uint8]) -> None:
        if not self._recent:
            return
        near = min(self._recent, key=lambda joints: abs(joints.stamp_ns - stamp_ns))
        speed = max(map(abs, near.speeds), default=0.0) if near.speeds else self._speed()
        positions = self._capture.joints(near.names, near.positions)
        self._capture.offer(picture, stamp_ns, positions, speed, near.stamp_ns)

    def _speed(self) -> float:
        """Where the driver says no speeds: of the fastest joint over what is kept [rad/s]."""
        first, last = self._recent[0], self._recent[-1]
        gone = np.abs(np.subtract(last.positions, first.positions)).max()
        return float(gone / max((last.stamp_ns - first.stamp_ns) / 1e9, 1e-3)) if len(self._recent) > 1 else np.inf


class Lag:
    """Collects how fast pictures change and joints move, for their time offset."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._pictures, self._arm = list[tuple[int, float]](), list[tuple[int, float]]()
        self._last: tuple[int, NDArray[np.uint8]] | None = None
        self._before: Joints | None = None

    def picture(self, stamp_ns: int, picture: NDArray[np.uint8]) -> None:
        small = np.ascontiguousarray(picture[::4, ::4])
        if self._last is not None and stamp_ns > self._last[0]:
            self._pictures.append(change(self._last, (stamp_ns, small)))
        self._last = (stamp_ns, small)

    def joints(self, joints: Joints) -> None:
        before, self._before = self._before, joints
        if before is None or joints.stamp_ns <= before.stamp_ns:
            return
        at = [dict(zip(j.names, j.positions)) for j in (before, joints)]
        gone = np.linalg.norm([at[1].get(name, 0.0) - at[0].get(name, 0.0) for name in self._names])
        middle = (before.stamp_ns + joints.stamp_ns) // 2
        self._arm.append((middle, float(gone) / ((joints.stamp_ns - before.stamp_ns) / 1e9)))

    def offset(self) -> OffsetRecord:
        """Return the offset of what was collected.

        Raises:
            ValueError: when it does not say.
        """
        (image_ns, image), (arm_ns, arm) = (tuple(zip(*s)) or ((), ()) for s in (self._pictures, self._arm))
        return time_offset(image_ns, image, arm_ns, arm)
