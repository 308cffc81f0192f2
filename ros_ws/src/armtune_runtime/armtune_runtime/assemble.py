"""From what arrived to what a policy may see: the newest pictures and joints in bounds. Pure.

Ages are by arrival on the steady clock; sender stamps only name a moment (and, in
lockstep, must be the very moment of the step). What is damaged is refused on arrival and
so ages like something that never came.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from armtune_safety.settings import RobotParams

from .settings import PolicyParams

ENCODINGS = ("rgb8", "bgr8")
KEPT_FRAMES_N = 4
BLANK_LEVELS = 1.0
"""A picture whose grey levels spread less than this is all black, all white or one colour."""
REFUSALS_IN_A_ROW = 3
JOINT_SLACK_RAD, FINGER_SLACK_M = 0.1, 0.01
"""How far an encoder may read beyond the joint's limits before it is not believed."""


class Refused(ValueError):
    """Something that arrived will not be used; says which and why."""


class Missing(ValueError):
    """An observation cannot be made now; says what is stale, absent or frozen."""


@dataclass(frozen=True)
class Bounds:
    """How old, how still and how large things may be.

    ``frozen_frames`` equal pictures in a row while a joint moved more than
    ``frozen_move_rad`` mean that the camera repeats itself (F02); a camera looking at an
    arm at rest may rightly give equal pictures.
    """

    height_px: int
    width_px: int
    max_frame_age_s: float
    max_state_age_s: float
    frozen_frames: int = 5
    frozen_move_rad: float = 0.05


@dataclass(frozen=True)
class Frame:
    """One picture as it arrived: rgb8, uint8, shape (height_px, width_px, 3)."""

    stamp_ns: int
    received_ns: int
    rgb: np.ndarray


@dataclass(frozen=True)
class Joints:
    """One joint state in the robot's own order [rad, finger in m]."""

    stamp_ns: int
    received_ns: int
    positions: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """What one observation is made of; ``age_s`` is of the oldest picture, by arrival."""

    frames: Mapping[str, Frame]
    joints: Joints
    age_s: float

    @property
    def stamp_ns(self) -> int:
        return max(frame.stamp_ns for frame in self.frames.values())


def decode(image: Any, height_px: int, width_px: int) -> np.ndarray:
    """Return the pixels of an Image-like message without copying them.

    Args:
        image: Has ``height width step encoding data`` as ``sensor_msgs/Image`` has.
        height_px: Expected rows.
        width_px: Expected columns.

    Returns:
        rgb8, uint8, shape (height_px, width_px, 3); for bgr8 a view in reversed order.

    Raises:
        Refused: for a wrong size, encoding or length of data, or a picture of one colour (F03).
    """
    if (image.height, image.width) != (height_px, width_px):
        raise Refused(f"image is {image.width}x{image.height}, expected {width_px}x{height_px}; check camera settings")
    if image.encoding not in ENCODINGS:
        raise Refused(f"image encoding is {image.encoding!r}, expected one of {', '.join(ENCODINGS)}")
    if image.step < 3 * width_px or len(image.data) != image.step * height_px:
        raise Refused(
            f"image has {len(image.data)} bytes in rows of {image.step}, expected {3 * width_px} x {height_px} or more"
        )
    rows = np.frombuffer(image.data, np.uint8).reshape(height_px, image.step)
    pixels = rows[:, : 3 * width_px].reshape(height_px, width_px, 3)
    if not float(pixels[::16, ::16].std()) >= BLANK_LEVELS:
        raise Refused("image is of one colour: lens covered, or the sensor gives nothing")
    return pixels if image.encoding == "rgb8" else pixels[..., ::-1]


def order(names: Sequence[str], positions: Sequence[float], expected: Sequence[str]) -> tuple[float, ...]:
    """Return positions in the expected order of joint names.

    Raises:
        Refused: for a missing, unknown or repeated name, or a value per name that is not there (F06).
    """
    if sorted(names) != sorted(expected):
        raise Refused(f"joint names are {', '.join(names)}; expected {', '.join(expected)} in any order")
    if len(positions) != len(names):
        raise Refused(f"joint state has {len(positions)} positions for {len(names)} names")
    by_name = dict(zip(names, positions))
    return tuple(float(by_name[name]) for name in expected)


class CameraWatch:
    """The newest frames of one camera, and whether it can be trusted."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.frames: deque[Frame] = deque(maxlen=KEPT_FRAMES_N)
        self._refused_in_a_row = 0
        self._equal = 0
        self._fingerprint = -1
        self._still_at: tuple[float, ...] = ()

    def take(self, image: Any, stamp_ns: int, now_ns: int, joints: tuple[float, ...]) -> None:
        """Keep an arriving picture.

        Raises:
            Refused: as ``decode``; the third in a row drops what was kept (then as a stall, F01).
        """
        try:
            rgb = decode(image, self._bounds.height_px, self._bounds.width_px)
        except Refused:
            self._refused_in_a_row += 1
            if self._refused_in_a_row >= REFUSALS_IN_A_ROW:
                self.frames.clear()
            raise
        self._refused_in_a_row = 0
        self._note_change(rgb, joints)
        self.frames.append(Frame(stamp_ns, now_ns, rgb))

    def is_frozen(self, joints: tuple[float, ...]) -> bool:
        """True when equal pictures came again and again although the arm moved."""
        moved = max((abs(a - b) for a, b in zip(joints, self._still_at)), default=0.0)
        return self._equal >= self._bounds.frozen_frames and moved > self._bounds.frozen_move_rad

    def _note_change(self, rgb: np.ndarray, joints: tuple[float, ...]) -> None:
        fingerprint = zlib.crc32(np.ascontiguousarray(rgb[::8]).data)
        if fingerprint != self._fingerprint:
            self._fingerprint, self._equal = fingerprint, 0
        self._equal += 1
        # The joints of a picture's moment may come after it; with the first that is equal they are here.
        if self._equal <= 2 or not self._still_at:
            self._still_at = joints


class Assembler:
    """Holds what arrived, and makes the observation of a moment."""

    def __init__(
        self, bounds: Bounds, cameras: Sequence[str], names: Sequence[str], low: Sequence[float], high: Sequence[float]
    ) -> None:
        """Take pictures of ``cameras`` and joints ``names`` within ``low..high`` [rad, finger in m], shape (n,)."""
        self._bounds = bounds
        self._cameras = {name: CameraWatch(bounds) for name in cameras}
        self._names, self._low, self._high = tuple(names), tuple(low), tuple(high)
        self._joints: deque[Joints] = deque(maxlen=64)

    @classmethod
    def of(cls, policy: PolicyParams, robot: RobotParams, height_px: int, width_px: int) -> Assembler:
        """Make the one that fits a policy and a robot, for pictures of a size [px]."""
        bounds = Bounds(height_px, width_px, policy.max_frame_age_s, policy.max_state_age_s, policy.frozen_frames)
        closed_m, open_m = sorted((robot.gripper_closed_m, robot.gripper_open_m))
        low = [*(limit - JOINT_SLACK_RAD for limit in robot.joint_lower_rad), closed_m - FINGER_SLACK_M]
        high = [*(limit + JOINT_SLACK_RAD for limit in robot.joint_upper_rad), open_m + FINGER_SLACK_M]
        return cls(bounds, policy.cameras, (*robot.joints, robot.finger_joint), low, high)

    def take_image(self, camera: str, image: Any, stamp_ns: int, now_ns: int) -> None:
        """Keep a picture of one camera; raises ``Refused`` when it is damaged."""
        joints = self._joints[-1].positions if self._joints else ()
        self._cameras[camera].take(image, stamp_ns, now_ns, joints)

    def take_joints(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int, now_ns: int) -> None:
        """Keep a joint state.

        Raises:
            Refused: for wrong names (F06), or a value not finite or out of the joint's range (F07a).
        """
        values = order(names, positions, self._names)
        for name, value, low, high in zip(self._names, values, self._low, self._high):
            if not math.isfinite(value) or not low <= value <= high:
                raise Refused(f"joint {name} reads {value}; expected a number in [{low}, {high}]")
        self._joints.append(Joints(stamp_ns, now_ns, values))

    def newest(self, now_ns: int) -> Seen:
        """Return the newest of everything, all within the age bounds.

        Raises:
            Missing: naming what is absent, too old or frozen.
        """
        joints = self._joints[-1] if self._joints else None
        if joints is None or not (now_ns - joints.received_ns) / 1e9 <= self._bounds.max_state_age_s:
            raise Missing(f"no joint state within {self._bounds.max_state_age_s} s")
        frames: dict[str, Frame] = {}
        for name, camera in self._cameras.items():
            frame = camera.frames[-1] if camera.frames else None
            if frame is None or not (now_ns - frame.received_ns) / 1e9 <= self._bounds.max_frame_age_s:
                raise Missing(f"no frame of camera {name} within {self._bounds.max_frame_age_s} s")
            frames[name] = frame
        return self._seen(frames, joints, now_ns)

    def at(self, stamp_ns: int, now_ns: int) -> Seen:
        """Return what carries exactly this stamp (lockstep).

        Raises:
            Missing: naming what has not come yet, or is frozen.
        """
        joints = next((j for j in reversed(self._joints) if j.stamp_ns == stamp_ns), None)
        if joints is None:
            raise Missing(f"no joint state stamped {stamp_ns}")
        frames: dict[str, Frame] = {}
        for name, camera in self._cameras.items():
            frame = next((f for f in reversed(camera.frames) if f.stamp_ns == stamp_ns), None)
            if frame is None:
                raise Missing(f"no frame of camera {name} stamped {stamp_ns}")
            frames[name] = frame
        return self._seen(frames, joints, now_ns)

    def has_since(self, t_ns: int) -> bool:
        """True when every camera gave a picture at or after ``t_ns`` (by arrival)."""
        return all(bool(c.frames) and c.frames[-1].received_ns >= t_ns for c in self._cameras.values())

    def _seen(self, frames: dict[str, Frame], joints: Joints, now_ns: int) -> Seen:
        for name, camera in self._cameras.items():
            if camera.is_frozen(joints.positions):
                raise Missing(f"camera {name} repeats one frame while the arm moves")
        age_s = max(now_ns - frame.received_ns for frame in frames.values()) / 1e9
        return Seen(frames, joints, age_s)


class StepWait:
    """One open step of the step clock, waiting for what its observation needs.

    In lockstep that is everything of exactly the step's stamp. In real time it is a
    picture newer than the tick, waited for ``frame_wait_s``; then the newest within bounds,
    until the control period is over.
    """

    def __init__(self, assembler: Assembler, lockstep: bool, frame_wait_s: float, period_s: float) -> None:
        self._assembler, self._lockstep = assembler, lockstep
        self._frame_wait_s, self._period_s = frame_wait_s, period_s
        self._stamp_ns, self._opened_ns = 0, -1

    def open(self, stamp_ns: int, now_ns: int) -> bool:
        """Begin a step; True when the one before was never closed."""
        was_open = self._opened_ns >= 0
        self._stamp_ns, self._opened_ns = stamp_ns, now_ns
        return was_open

    def close(self) -> None:
        self._opened_ns = -1

    def look(self, now_ns: int) -> Seen | None:
        """Return the observation to act on now, closing the step; None while there is time to wait.

        Raises:
            Missing: when there is nothing to act on; the step stays open until its period is over.
        """
        if self._opened_ns < 0:
            return None
        if self._lockstep:
            seen = self._assembler.at(self._stamp_ns, now_ns)
        else:
            waited_s = (now_ns - self._opened_ns) / 1e9
            if waited_s < self._frame_wait_s and not self._assembler.has_since(self._opened_ns):
                return None
            if waited_s > self._period_s:
                self.close()
                raise Missing("nothing fit to act on came within the control period")
            seen = self._assembler.newest(now_ns)
        self.close()
        return seen
