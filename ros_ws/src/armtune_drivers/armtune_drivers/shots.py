"""What a camera gives, when it was really taken, and whether it still sees. Pure."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_JUMP_NS = 500_000_000
_WINDOW = 300
"""Frames over which the quickest arrival is looked for: ten seconds, in which crystals drift apart by 1 ms at most."""
_STRIP_ROWS = 7
_STARTS_S = 5.0
"""The first frame of a stream may take so long: sensors and exposure start, a busy USB bus is asked for room."""


@dataclass(frozen=True)
class Pinhole:
    """Intrinsics of a camera, distortion as OpenCV's ``plumb_bob``, 5 numbers.

    Attributes:
        focal_px: Along columns and rows [px].
        centre_px: Column and row of the optical axis [px].
    """

    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shot:
    """One frame.

    Attributes:
        rgb: uint8, shape (H, W, 3).
        stamp_ns: When it was taken on the system's clock, None: just now.
        depth_mm: uint16, shape (H, W), in the colour camera's own view; 0 where nothing was measured.
    """

    rgb: NDArray[np.uint8]
    stamp_ns: int | None = None
    depth_mm: NDArray[np.uint16] | None = None
    pinhole: Pinhole | None = None


class ClockMap:
    """Turns a camera's clock into the system's: its quickest arrival of late had the least delay.

    A camera that was reset counts from anew (realsense-ros#1961); a system clock that was set does, too.
    """

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=_WINDOW)

    def system_ns(self, camera_ns: int, arrival_ns: int) -> int:
        """Return when a frame was taken, never later than it arrived."""
        offset = arrival_ns - camera_ns
        if self._offsets and abs(offset - min(self._offsets)) > _JUMP_NS:
            self._offsets.clear()
        self._offsets.append(offset)
        return camera_ns + min(self._offsets)


class Sight:
    """Whether a live camera still sees: frames come, and they differ.

    Real sensors are noisy: equal bytes mean that a picture is repeated, however still the scene.
    """

    def __init__(self, stall_s: float, frozen_frames: int, now_s: float) -> None:
        self._stall_s, self._frozen_frames = stall_s, frozen_frames
        self._patience_s = max(stall_s, _STARTS_S)
        self._seen_s, self._digest, self._equal = now_s, 0, 0

    def saw(self, rgb: NDArray[np.uint8], now_s: float) -> None:
        """Note a frame (H, W, 3)."""
        digest = zlib.crc32(rgb[::_STRIP_ROWS].tobytes())
        self._equal = self._equal + 1 if digest == self._digest else 0
        self._seen_s, self._digest, self._patience_s = now_s, digest, self._stall_s

    def trouble(self, now_s: float) -> str:
        """Return what is wrong, blank when it sees."""
        if self._equal >= self._frozen_frames:
            return f"frozen: the same picture {self._equal + 1} times"
        silent_s = now_s - self._seen_s
        return "" if silent_s <= self._patience_s else f"stalled: no frame for {silent_s:.1f} s"
