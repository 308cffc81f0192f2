"""The cameras' newest frames as JPEG: encoded once for all viewers, only when one asks, only so often."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from armtune_policies.contract import Clock
from armtune_policies.store import pictures, schemas

WATCHED_S = 3.0
"""A camera is listened to for so long after a viewer asked."""


@dataclass
class _Camera:
    raw: bytes = b""
    arrived: int = 0
    """How many frames have arrived; the number of the newest."""
    jpeg: bytes = b""
    shown: int = 0
    """Number of the frame that ``jpeg`` is."""
    shown_ns: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Film:
    """Nodes give frames, viewers take pictures; from any thread. No queue: a frame is newest, or gone.

    Args:
        cameras: Names.
        width_px: Wider pictures are made this wide.
        quality: Of JPEG, 1..100.
        frames_hz: No camera is encoded more often, whoever asks.
        clock: Steady.
    """

    def __init__(self, cameras: Sequence[str], width_px: int, quality: int, frames_hz: float, clock: Clock) -> None:
        self._cameras = {name: _Camera() for name in cameras}
        self._width_px, self._quality, self._clock = width_px, quality, clock
        self._period_ns = round(1e9 / frames_hz)
        self._asked_ns: int | None = None
        self.encoded = 0
        """Pictures encoded so far."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    @property
    def is_watched(self) -> bool:
        """Whether a viewer asked not long ago: nobody watches, nothing is listened to."""
        return self._asked_ns is not None and (self._clock.now_ns() - self._asked_ns) / 1e9 <= WATCHED_S

    def put(self, name: str, data: bytes) -> None:
        """Take an Image, as CDR, in place of the one before."""
        camera = self._cameras[name]
        camera.raw, camera.arrived = data, camera.arrived + 1

    def take(self, name: str, seen: int) -> tuple[int, bytes]:
        """Return the newest picture's number and JPEG; blank where it is not newer than ``seen``, or cannot be read."""
        now_ns = self._asked_ns = self._clock.now_ns()
        camera = self._cameras[name]
        with camera.lock:
            if camera.arrived > camera.shown and now_ns - camera.shown_ns >= self._period_ns:
                camera.shown, camera.shown_ns = camera.arrived, now_ns
                camera.jpeg = self._encode(camera.raw)
            return (camera.shown, camera.jpeg) if camera.shown > seen else (seen, b"")

    def _encode(self, data: bytes) -> bytes:
        try:
            rgb = pictures.rgb(schemas.decode(schemas.IMAGE, data))
        except ValueError:
            return b""
        self.encoded += 1
        return jpeg(rgb, self._width_px, self._quality)


def jpeg(rgb: np.ndarray, width_px: int, quality: int) -> bytes:
    """Return a picture, uint8 (H, W, 3), as JPEG, at most so wide."""
    if rgb.shape[1] > width_px:
        size = (width_px, max(round(rgb.shape[0] * width_px / rgb.shape[1]), 1))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return pictures.jpeg(rgb, quality)
