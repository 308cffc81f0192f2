"""Frames from an image folder, a video file, a UVC camera or GStreamer, as plain iterators; others have their own.

Each source yields rgb8 images, uint8, shape (height_px, width_px, 3), forever when it
loops; what is missing or broken is refused in one sentence when the source is opened.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from armtune_policies.contract import ConfigError
from armtune_policies.store.pictures import read_picture

from .gstreamer import gstreamer_frames
from .settings import CameraParams

SUFFIXES = (".png", ".jpg", ".jpeg")


def open_frames(params: CameraParams, name: str) -> Iterator[np.ndarray]:
    """Open the source of camera ``name``; the first frame is read before this returns.

    Yields:
        rgb8 images, uint8, shape (height_px, width_px, 3).

    Raises:
        ConfigError: when the path is missing, not readable, empty or of another size.
    """
    path = params.path_of(name)
    sources: dict[str, Callable[[CameraParams, str], Iterator[np.ndarray]]] = {
        "files": _files,
        "video": _video,
        "uvc": _uvc,
        "gstreamer": gstreamer_frames,
    }
    if params.source not in sources:
        raise ConfigError(f"camera {name!r} has source {params.source!r}; camera_node reads {', '.join(sources)}")
    frames = sources[params.source](params, path)
    try:
        first = next(frames)
    except StopIteration:
        raise ConfigError(f"{path}: no frame could be read; check that it is a {params.source} source") from None
    return itertools.chain([first], frames)


def _files(params: CameraParams, path: str) -> Iterator[np.ndarray]:
    """Images of a folder, in order of name."""
    folder = Path(path)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of images; set camera.paths to an existing one")
    images = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not images:
        raise ConfigError(f"{folder}: no {' '.join(SUFFIXES)} files in this folder")
    while True:
        for image in images:
            yield _fitting(_bgr(image), params, str(image))
        if not params.loop:
            return


def _bgr(image: Path) -> np.ndarray | None:
    """A picture as OpenCV has it, or None for what is none."""
    try:
        return read_picture(image)[..., ::-1]
    except ValueError:
        return None


def _video(params: CameraParams, path: str) -> Iterator[np.ndarray]:
    """Frames of a video file, in order."""
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such video file; set camera.paths to an existing one")
    while True:
        capture = cv2.VideoCapture(path)
        try:
            if not capture.isOpened():
                raise ConfigError(f"{path}: not a video OpenCV can read; convert it to mp4 (H.264) or avi (MJPG)")
            count = 0
            while (frame := _read(capture)) is not None:
                count += 1
                yield _fitting(frame, params, path)
        finally:
            capture.release()
        if not (params.loop and count):
            return


def _uvc(params: CameraParams, path: str) -> Iterator[np.ndarray]:
    """Live frames of a V4L2 device; ends when the camera stops giving any."""
    if not Path(path).exists():
        raise ConfigError(f"{path}: no such camera; `ls /dev/v4l/by-id` lists those plugged in")
    if not os.access(path, os.R_OK | os.W_OK):
        raise ConfigError(f"{path}: no permission to read the camera; add your user to group `video`, log in again")
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    try:
        if not capture.isOpened():
            raise ConfigError(f"{path}: not a camera V4L2 can open, or another program holds it")
        wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: params.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: params.height_px,
            cv2.CAP_PROP_FPS: params.rate_hz,
            cv2.CAP_PROP_BUFFERSIZE: 1,  # the newest frame, not the one waiting longest
        }
        for key, value in wanted.items():
            capture.set(key, value)
        while (frame := _read(capture)) is not None:
            yield _fitting(frame, params, path)
    finally:
        capture.release()


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Next BGR frame, shape (H, W, 3), or None at the end."""
    good, frame = capture.read()
    return frame if good else None


def _fitting(bgr: np.ndarray | None, params: CameraParams, path: str) -> np.ndarray:
    """Return rgb8 of the declared size, shape (height_px, width_px, 3), or say what came instead."""
    if bgr is None:
        raise ConfigError(f"{path}: not an image OpenCV can read, or truncated")
    height_px, width_px = bgr.shape[:2]
    if (height_px, width_px) != (params.height_px, params.width_px):
        raise ConfigError(
            f"{path}: expected {params.width_px}x{params.height_px} pixels, got {width_px}x{height_px}; "
            "set camera.width_px and camera.height_px"
        )
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
