"""Pictures of another driver's topic, as shots of ours; pure, the subscription is the node's."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import ConfigError

from .settings import CameraParams
from .shots import Pinhole, Shot, Sight

CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}
"""Where red, green and blue are, by encoding; the number of bytes a pixel is in ``BYTES``."""
BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}
POLL_S = 0.1


def info_of(topic: str) -> str:
    """Return where the CameraInfo of an image topic is, as image_transport has it: beside it."""
    return f"{topic.rpartition('/')[0]}/camera_info"


def rgb_of(encoding: str, height: int, width: int, step: int, data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of a sensor_msgs/Image, uint8 (H, W, 3); ``step`` is a row's bytes, padding included.

    Raises:
        ConfigError: for another encoding, or data that is not as large as it says.
    """
    if encoding not in BYTES:
        raise ConfigError(f"encoding: expected one of {', '.join(BYTES)}, got {encoding!r}; let its driver convert it")
    wide = BYTES[encoding]
    if step < width * wide or len(data) != height * step:
        raise ConfigError(
            f"picture: expected {height} rows of at least {width * wide} bytes, got {len(data)} in {step}s"
        )
    rows = np.frombuffer(data, np.uint8).reshape(height, step)[:, : width * wide].reshape(height, width, wide)
    return np.ascontiguousarray(rows[..., CHANNELS[encoding]])


def pinhole_of(k: Sequence[float], d: Sequence[float], model: str) -> Pinhole | None:
    """Return the intrinsics of a CameraInfo, ``k`` (9,) by rows; None for one not calibrated, or of another model."""
    if not k[0] or model not in ("", "plumb_bob"):
        return None
    return Pinhole((k[0], k[4]), (k[2], k[5]), (*d, 0.0, 0.0, 0.0, 0.0, 0.0)[:5])


class Relay:
    """An iterator of another driver's shots, and of None when none came in time; ``trouble`` says what is wrong then.

    Args:
        topic: Its image topic.
        now_s: On the steady clock.
    """

    resets = 0

    def __init__(self, params: CameraParams, topic: str, now_s: float) -> None:
        self._params, self._topic = params, topic
        self._waiting: queue.Queue[Shot] = queue.Queue(2)
        self._sight = Sight(params.stall_s, params.frozen_frames, now_s)
        self.pinhole: Pinhole | None = None
        self.trouble = ""

    def put(self, rgb: NDArray[np.uint8], stamp_ns: int) -> None:
        """Take a picture, uint8 (H, W, 3); one that waits while newer ones come is dropped."""
        while True:
            try:
                return self._waiting.put_nowait(Shot(rgb, stamp_ns, None, self.pinhole))
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    continue

    def __iter__(self) -> Relay:
        return self

    def __next__(self) -> Shot | None:
        """Return the next shot, None when none came or it is the same again and again.

        Raises:
            ConfigError: for a picture of another size.
        """
        try:
            shot: Shot | None = self._waiting.get(timeout=POLL_S)
        except queue.Empty:
            shot = None
        if shot is not None:
            self._sight.saw(self._fitting(shot), time.monotonic())
        why = self._sight.trouble(time.monotonic())
        self.trouble = f"{self._topic}: {why}" if why else ""
        return None if why else shot

    def _fitting(self, shot: Shot) -> NDArray[np.uint8]:
        height_px, width_px = shot.rgb.shape[:2]
        if (height_px, width_px) != (self._params.height_px, self._params.width_px):
            raise ConfigError(
                f"{self._topic}: expected {self._params.width_px}x{self._params.height_px} pixels, got "
                f"{width_px}x{height_px}; set camera.width_px and camera.height_px"
            )
        return shot.rgb
