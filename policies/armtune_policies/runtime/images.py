"""The one way a camera frame becomes a policy's image: live, in training, in the simulator; and made-up ones."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ObservationSpec

from .session import Arrays

Frame = npt.NDArray[np.uint8]


def prepare(frame: Frame, height_px: int, width_px: int) -> Frame:
    """Shrink a frame to policy size, squashing it when the proportions differ.

    Args:
        frame: rgb8, uint8, shape (H, W, 3); not changed.
        height_px: Height wanted [px].
        width_px: Width wanted [px].

    Returns:
        A contiguous copy, uint8, shape (height_px, width_px, 3), each pixel the mean of the area it covers.

    Raises:
        ValueError: for another dtype or shape.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"frame: expected uint8 (H, W, 3), got {frame.dtype} {frame.shape}")
    if frame.shape[:2] == (height_px, width_px):
        return np.array(frame, order="C")
    small = cv2.resize(np.ascontiguousarray(frame), (width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def made_up_images(spec: ObservationSpec, count: int) -> Arrays:
    """Return ``image.<camera>`` uint8 (count, H, W, 3): half noise, half smooth scenes, as convolutions meet."""
    rng = np.random.default_rng(1)
    images: Arrays = {}
    for camera in spec.cameras:
        noise = rng.integers(0, 256, (count, spec.height_px, spec.width_px, 3), dtype=np.uint8)
        coarse = rng.integers(0, 256, (count // 2, 8, 8, 3), dtype=np.uint8)
        rows, columns = np.arange(spec.height_px) * 8 // spec.height_px, np.arange(spec.width_px) * 8 // spec.width_px
        noise[: count // 2] = coarse[:, rows][:, :, columns]
        images[f"image.{camera}"] = noise
    return images
