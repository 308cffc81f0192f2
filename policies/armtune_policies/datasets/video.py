"""Pictures as video files, by PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from armtune_policies.store.errors import BadData

CODECS = {"h264": ("libx264", {"crf": "20"}), "hevc": ("libx265", {"crf": "24", "x265-params": "log-level=none"})}
"""By the name LeRobot knows them by: the encoder and its quality.

AV1 is read, not written: where we are root its encoder in PyAV, SVT-AV1, makes the thread that calls it, and its own
forty, run as SCHED_FIFO 99. Children inherit that, and the machine, the gate with it, stands still.
"""
KEY_EVERY = 2
"""Frames from one key frame to the next: training jumps about, and LeRobot's own videos have as many."""


class VideoFile:
    """One mp4 file that grows by stretches of frames, each at its place in time.

    Args:
        to: A path, or a file that is open for writing and can seek.
        codec: One of ``CODECS``.
        rate_hz: Frames a second.
        size_px: Rows and columns.
        key_every: Frames from one key frame to the next.

    Raises:
        ValueError: for an unknown codec, or an odd number of rows or columns: chroma is halved.
    """

    def __init__(
        self, to: Path | BinaryIO, codec: str, rate_hz: float, size_px: tuple[int, ...], key_every: int = KEY_EVERY
    ) -> None:
        import av

        if codec not in CODECS:
            raise ValueError(f"pictures: expected png or one of {', '.join(CODECS)}; got {codec!r}")
        self._path = to if isinstance(to, Path) else None
        if size_px[0] % 2 or size_px[1] % 2:
            name = str(self._path or "video")
            raise BadData(name, "size", "an even number of rows and columns, or pictures=png", size_px[:2])
        self._period_s, self._frames = 1 / Fraction(rate_hz).limit_denominator(1000), 0
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        name, options = CODECS[codec]
        self._container = av.open(str(to) if isinstance(to, Path) else to, "w", format="mp4")
        rate = 1 / self._period_s
        stream: Any = self._container.add_stream(name, rate=rate, options={**options, "g": str(key_every)})
        stream.height, stream.width, stream.pix_fmt = size_px[0], size_px[1], "yuv420p"
        stream.time_base, self._stream = self._period_s, stream

    @property
    def size_bytes(self) -> int:
        return self._path.stat().st_size if self._path and self._path.exists() else 0

    def add(self, frames: Iterable[npt.NDArray[np.uint8]]) -> tuple[float, float]:
        """Append frames, rgb8 (H, W, 3) each; return when they begin and end [s]."""
        import av

        first = self._frames
        for frame in frames:
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            made.pts, made.time_base = self._frames, self._period_s
            self._container.mux(self._stream.encode(made))
            self._frames += 1
        return float(first * self._period_s), float(self._frames * self._period_s)

    def close(self) -> None:
        """Make the file whole."""
        self._container.mux(self._stream.encode())
        self._container.close()

    @staticmethod
    def info(codec: str, fps: int, shape: list[int]) -> dict[str, Any]:
        """Return what LeRobot's ``info.json`` says of a video."""
        return {
            "video.height": shape[0], "video.width": shape[1], "video.codec": codec, "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False, "video.fps": fps, "video.channels": 3, "has_audio": False,
        }  # fmt: skip
