"""Frames to MP4 and GIF, in memory; the store writes the files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import chain

import cv2
import numpy as np
from PIL import Image

from armtune_policies.datasets.video import VideoFile

KEY_EVERY = 50
"""Frames from one key frame to the next: a person plays a film, and seldom jumps."""


def mp4(frames: Iterable[np.ndarray], rate_hz: float) -> bytes:
    """Encode rgb8 frames, uint8, each (H, W, 3) with even H and W, as H.264.

    Raises:
        ValueError: when there are no frames, or odd ones.
    """
    coming = iter(frames)
    if (first := next(coming, None)) is None:
        raise ValueError("a video needs at least one frame, got none")
    buffer = io.BytesIO()
    film = VideoFile(buffer, "h264", rate_hz, first.shape, KEY_EVERY)
    film.add(chain([first], coming))
    film.close()
    return buffer.getvalue()


def gif(frames: Sequence[np.ndarray], rate_hz: float, width_px: int = 360) -> bytes:
    """Encode rgb8 frames as a looping GIF of one adaptive palette; for READMEs."""
    small = [Image.fromarray(_scaled(frame, width_px)) for frame in frames]
    palette = small[len(small) // 2].quantize(colors=128, method=Image.Quantize.MEDIANCUT)
    pages = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    buffer = io.BytesIO()
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], duration=round(1000 / rate_hz), loop=0, optimize=True
    )
    return buffer.getvalue()


def captioned(frame: np.ndarray, text: str) -> np.ndarray:
    """Return a copy with a dark strip of one line of text on top; uint8 (H, W, 3)."""
    out = frame.copy()
    out[:26] = out[:26] // 4
    cv2.putText(out, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def _scaled(frame: np.ndarray, width_px: int) -> np.ndarray:
    height_px = round(frame.shape[0] * width_px / frame.shape[1])
    return cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_AREA)
