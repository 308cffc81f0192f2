"""Cameras at their own rate on a thread of their own, beside the physics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from armtune_safety.punctual import step_back

from .world import World

OnFrame = Callable[[str, NDArray[np.uint8], int], None]


class Film:
    """Draws every camera ``rate_hz`` times a second until stopped.

    Args:
        world: What is filmed; ``moment`` must hold while it is looked at.
        moment: A lock that stands between looking and the world's ticks.
        now_ns: Says what time it is; a frame's stamp.
        on_frame: Told camera, frame (rgb8, (H, W, 3)) and stamp, on this thread.
    """

    def __init__(
        self,
        world: World,
        moment: threading.Lock,
        cameras: Sequence[str],
        rate_hz: float,
        size_px: tuple[int, int],
        now_ns: Callable[[], int],
        on_frame: OnFrame,
    ) -> None:
        self._world, self._moment, self._cameras = world, moment, tuple(cameras)
        self._period_s, self._size_px, self._now_ns, self._on_frame = 1.0 / rate_hz, size_px, now_ns, on_frame
        self._quit = threading.Event()
        self.error = ""
        """Why filming ended by itself; blank while it goes on."""
        self._thread = threading.Thread(target=self._film, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._quit.set()
        self._thread.join(timeout=2.0)

    def _film(self) -> None:
        due_s = time.monotonic()
        step_back()  # drawing takes long; the arm must not wait for it
        try:
            while not self._quit.wait(timeout=max(0.0, due_s - time.monotonic())):
                due_s = max(due_s + self._period_s, time.monotonic())
                with self._moment:
                    self._world.look()
                    stamp_ns = self._now_ns()
                for camera in self._cameras:
                    self._on_frame(camera, self._world.draw(camera, *self._size_px), stamp_ns)
        except (OSError, ValueError) as why:
            self.error = str(why)
        finally:
            self._world.close()


def intrinsics(focal_px: float, height_px: int, width_px: int) -> dict[str, NDArray[np.float64]]:
    """Return a pinhole camera's ``k`` (9,), ``r`` (9,) and ``p`` (12,), row by row, as ``CameraInfo`` has them."""
    k = np.diag([focal_px, focal_px, 1.0])
    k[:2, 2] = width_px / 2 - 0.5, height_px / 2 - 0.5
    return {"k": k.ravel(), "r": np.eye(3).ravel(), "p": np.hstack([k, np.zeros((3, 1))]).ravel()}
