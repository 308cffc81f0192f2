"""One picture: out of the message that carries it, to and from JPEG and PNG."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .files import read_capped

Frame = npt.NDArray[np.uint8]
"""rgb8 (H, W, 3)."""
ENCODINGS = {"rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0)),
             "mono8": (1, (0, 0, 0))}  # fmt: skip
"""Channels, and which of them are red, green and blue."""
MAX_PIXELS, MAX_FILE_BYTES = 1 << 25, 1 << 28
"""A frame of 8K, and the largest file that is read as a picture."""
_FRAME_HEADS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG after which the size stands."""


def rgb(message: Any) -> Frame:
    """Return a ``sensor_msgs`` Image or CompressedImage as rgb8 (H, W, 3); padding of its rows is left out.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if hasattr(message, "format"):
        return decoded(message.data)
    encoding = getattr(message, "encoding", None)
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding}, which is none of {', '.join(ENCODINGS)}")
    channels, order = ENCODINGS[encoding]
    data = np.asarray(message.data, np.uint8)
    height, width, row = message.height, message.width, message.step
    if not height * width or row < width * channels or len(data) < height * row:
        raise ValueError(f"{len(data)} bytes for {height} rows of {width} pixels")
    pixels = data[: height * row].reshape(height, row)[:, : width * channels].reshape(height, width, channels)
    return pixels if order == (0, 1, 2) and channels == 3 else np.ascontiguousarray(pixels[..., list(order)])


def decoded(data: Any) -> Frame:
    """Return a JPEG or PNG as rgb8 (H, W, 3); of other formats no decoder is run.

    Raises:
        ValueError: when it is neither, or claims more than ``MAX_PIXELS``.
    """
    raw = bytes(data)
    size = claimed_size(raw)
    if size is None:
        raise ValueError(f"{len(raw)} bytes that are no JPEG or PNG")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(f"a picture of at most {MAX_PIXELS} pixels expected, got one that claims {size[0]}x{size[1]}")
    try:
        bgr = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ValueError(f"{len(raw)} bytes that are no whole JPEG or PNG")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def read_picture(path: Path) -> Frame:
    """Return a JPEG or PNG file as rgb8 (H, W, 3).

    Raises:
        ValueError: as ``decoded``, naming the file; or when it is too long or no plain file.
        OSError: when it cannot be read.
    """
    data = read_capped(path, MAX_FILE_BYTES)
    try:
        return decoded(data)
    except ValueError as why:
        raise ValueError(f"{path}: {why}") from None


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height as a PNG (PNG 1.2, 4.1.1) or JPEG (ITU T.81, B.2.2) says at its head; None for others."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    place = 2 if data[:2] == b"\xff\xd8" else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind in _FRAME_HEADS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        alone = kind == 0xFF or 0xD0 <= kind <= 0xD8 or kind == 0x01
        place += 1 if kind == 0xFF else 2 if alone else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def jpeg(frame: Frame, quality: int) -> bytes:
    """Return an rgb8 picture (H, W, 3) as JPEG of a quality 1..100."""
    return cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(frame: Frame) -> bytes:
    """Return an rgb8 picture (H, W, 3) as PNG, exact."""
    return cv2.imencode(".png", frame[..., ::-1])[1].tobytes()
