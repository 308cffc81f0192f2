"""Frames of a GStreamer pipeline: cameras that V4L2 alone does not give, as those on a Jetson's CSI connector.

The pipeline runs in GStreamer's own program and hands raw pictures over by a pipe: OpenCV's wheels are built without
GStreamer. https://gstreamer.freedesktop.org/documentation/tools/gst-launch.html
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import numpy as np

from armtune_policies.contract import ConfigError

from .settings import CameraParams

PROGRAM = "gst-launch-1.0"
STARTS_S = 10.0
"""The first picture may take so long: a sensor starts, a driver is loaded."""


def gstreamer_frames(params: CameraParams, path: str) -> Iterator[np.ndarray]:
    """Yield rgb8 frames, uint8 (height_px, width_px, 3), of the pipeline that ``path`` begins; ends when it does.

    Raises:
        ConfigError: without GStreamer, when the pipeline fails, or no picture comes for ``stall_s``.
    """
    if shutil.which(PROGRAM) is None:
        raise ConfigError(f"no {PROGRAM}: apt install gstreamer1.0-tools gstreamer1.0-plugins-base")
    if params.width_px % 4:
        raise ConfigError(f"width_px: expected a multiple of 4 for gstreamer, got {params.width_px}")
    shape = (params.height_px, params.width_px, 3)
    size = f"video/x-raw,format=RGB,width={params.width_px},height={params.height_px}"
    # Of pictures that nobody has taken only the newest is kept.
    ends = f"! videoconvert ! {size} ! queue max-size-buffers=1 leaky=downstream ! fdsink fd=1 sync=false"
    with tempfile.TemporaryFile() as said:
        words = [PROGRAM, "-q", *shlex.split(f"{path} {ends}")]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process:
            pipe, patience_s = process.stdout.fileno(), STARTS_S  # type: ignore[union-attr]
            try:
                while (frame := _frame(pipe, shape, patience_s)) is not None:
                    yield frame
                    patience_s = params.stall_s
            except TimeoutError:
                raise ConfigError(f"{path}: no picture for {patience_s:g} s{_last(said)}") from None
            finally:
                process.kill()
        if why := _last(said):
            raise ConfigError(f"{path}{why}")


def _frame(pipe: int, shape: tuple[int, int, int], patience_s: float) -> np.ndarray | None:
    """Return the next picture, None at the end.

    Raises:
        TimeoutError: when it is not whole in time.
    """
    frame = np.empty(shape, np.uint8)
    left, until_s = frame.data.cast("B"), time.monotonic() + patience_s
    while left:
        if not select.select([pipe], [], [], max(0.0, until_s - time.monotonic()))[0]:
            raise TimeoutError
        count = os.readv(pipe, [left])
        if not count:
            return None
        left = left[count:]
    return frame


def _last(said: IO[bytes]) -> str:
    """Return the first error that GStreamer told, blank for none."""
    with suppress(OSError):
        said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    errors = [line for line in lines if line.upper().startswith(("ERROR", "WARNING: ERRONEOUS"))]
    return f": {errors[0]}" if errors else ""
