"""By how much pictures lag behind joint states: the two motions are laid over each other (cross-correlation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .poses import Array
from .record import OffsetRecord

GRID_S, WINDOW_S, LEAST_S = 0.002, 0.5, 4.0
LEAST_ALIKE, PARTS = 0.7, 4


def time_offset(image_ns: ArrayLike, image_speed: ArrayLike, arm_ns: ArrayLike, arm_speed: ArrayLike) -> OffsetRecord:
    """Return by how much later a motion shows in pictures than in the joints, by their stamps.

    Speeds may be in any unit: how fast the picture changes, how fast the tool goes. The deviation is of the offset's
    mean over parts of the record, each laid over by itself.

    Args:
        image_ns: Stamps [ns] (N,) and ``image_speed`` (N,); ``arm_ns`` and ``arm_speed`` likewise (M,).

    Raises:
        ValueError: when the record is too short, nothing moved, or the two do not fit each other.
    """
    pictures, arm = _series(image_ns, image_speed, "pictures"), _series(arm_ns, arm_speed, "joint states")
    start, end = max(pictures[0][0], arm[0][0]), min(pictures[0][-1], arm[0][-1])
    if not (end - start) / 1e9 >= LEAST_S:
        raise ValueError(
            f"expected {LEAST_S:g} s in which both pictures and joint states came, got {max(0, end - start) / 1e9:.1f} "
            "s; record for longer, and check that both are stamped by the same clock"
        )
    grid = np.arange(0.0, (end - start) / 1e9, GRID_S)
    a, b = (np.interp(grid, (t - start) / 1e9, v) for t, v in (pictures, arm))
    offset, alike = _lag(a, b)
    if not alike >= LEAST_ALIKE:
        raise ValueError(
            f"expected the motion in pictures and joints to look alike, got a correlation of {alike:.2f} (at least "
            f"{LEAST_ALIKE}); move the arm to and fro in front of the camera, with stops"
        )
    parts = [_lag(*both)[0] for both in zip(np.array_split(a, PARTS), np.array_split(b, PARTS))]
    return OffsetRecord(offset_s=offset, sd_s=float(np.std(parts, ddof=1) / np.sqrt(PARTS)))


def change(before: tuple[int, NDArray[np.uint8]], after: tuple[int, NDArray[np.uint8]]) -> tuple[int, float]:
    """Return the moment between two pictures [ns], and how fast they change: mean grey levels a second."""
    seconds = (after[0] - before[0]) / 1e9
    levels = float(np.abs(after[1].astype(np.int16) - before[1]).mean())
    return (before[0] + after[0]) // 2, levels / seconds


def _series(stamps_ns: ArrayLike, speeds: ArrayLike, what: str) -> tuple[Array, Array]:
    t, v = np.asarray(stamps_ns, np.int64).astype(float), np.asarray(speeds, float)
    if t.shape != v.shape or t.ndim != 1 or len(t) < 20 or not np.isfinite(v).all():
        raise ValueError(f"{what}: expected at least 20 stamps and finite speeds, got {t.shape} and {v.shape}")
    if not (np.diff(t) > 0).all():
        raise ValueError(f"{what}: expected stamps that grow, got some that do not; see who else publishes them")
    if not np.ptp(v) > 1e-9:
        raise ValueError(f"{what}: nothing moved; move the arm in front of the camera")
    return t, v


def _lag(a: Array, b: Array) -> tuple[float, float]:
    """Return by how much ``a`` comes after ``b`` [s], and how alike they are then, -1 to 1."""
    a, b = (a - a.mean()) / (a.std() + 1e-12), (b - b.mean()) / (b.std() + 1e-12)
    size = 1 << (2 * len(a) - 1).bit_length()
    together = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    reach = min(round(WINDOW_S / GRID_S), len(a) // 2)
    lags = np.arange(-reach, reach + 1)
    alike = together[lags] / (len(a) - np.abs(lags))
    best = int(np.argmax(alike))
    part = 0.0
    if 0 < best < len(lags) - 1:
        before, top, after = alike[best - 1 : best + 2]
        part = 0.5 * (before - after) / min(before - 2 * top + after, -1e-12)
    return float((lags[best] + part) * GRID_S), float(alike[best])
