"""A camera's frame as it is kept in a file: as it came, as JPEG, or as one frame of a video stream.

Names follow what viewers know: ``sensor_msgs/CompressedImage`` with format ``jpeg``, and Foxglove's
``CompressedVideo``: Annex B, a frame a message, parameter sets before each key frame, no B frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from armtune_policies.contract import topics

from . import pictures, schemas

Kept = tuple[str, str, bytes]
"""Topic, type and CDR bytes."""
KEY_EVERY = 30
"""Frames from one key frame to the next: so many a reader decodes to show one."""
VIDEO: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1",
                         "x264-params": "repeat-headers=1:annexb=1:threads=1"}),
    "hevc": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "crf": "26", "forced-idr": "1",
                         "x265-params": "repeat-headers=1:annexb=1:pools=1:frame-threads=1:log-level=none"}),
}  # fmt: skip
"""PyAV's encoder and its options: speed before size, for this runs beside control."""
NAMES = {"h264": "h264", "hevc": "h265"}
"""As Foxglove calls them."""
CODECS = {name: codec for codec, name in NAMES.items()}


class Encoder(Protocol):
    """Turns frames of one camera, in order, into what is kept."""

    def __call__(self, data: bytes, is_first: bool = False) -> Kept | None:
        """Return what an Image, as CDR, becomes; None where that needs a later frame.

        ``is_first``: of a file, so that it must show without those before it.

        Raises:
            ValueError: for one that cannot be kept, saying why.
        """
        ...


def make_encoder(camera: str, compression: str, jpeg_quality: int) -> Encoder:
    """Return a camera's encoder.

    Raises:
        ValueError: for video, when PyAV is not installed.
    """
    if compression == "raw":
        return lambda data, is_first=False: (topics.image(camera), schemas.IMAGE, data)
    if compression == "jpeg":
        return _Jpeg(camera, jpeg_quality)
    return _Video(camera, compression)


class _Jpeg:
    def __init__(self, camera: str, quality: int) -> None:
        self._topic, self._quality = topics.compressed(camera), quality

    def __call__(self, data: bytes, is_first: bool = False) -> Kept:
        image = schemas.decode(schemas.IMAGE, data)
        jpeg = np.frombuffer(pictures.jpeg(pictures.rgb(image), self._quality), np.uint8)
        message = schemas.message(schemas.COMPRESSED_IMAGE, header=image.header, format="jpeg", data=jpeg)
        return self._topic, schemas.COMPRESSED_IMAGE, schemas.encode(message)


class _Video:
    def __init__(self, camera: str, codec: str) -> None:
        try:
            import av
        except ImportError:
            raise ValueError(f"recorder.compression={codec}: needs the package av: run `pip install av`") from None
        self._av, self._topic, self._codec = av, topics.video(camera), codec
        self._context: Any = None
        self._count, self._wants_key = 0, False

    def __call__(self, data: bytes, is_first: bool = False) -> Kept | None:
        self._wants_key |= is_first
        image = schemas.decode(schemas.IMAGE, data)
        rgb = pictures.rgb(image)
        if rgb.shape[0] % 2 or rgb.shape[1] % 2:  # chroma is halved
            raise ValueError(f"{rgb.shape[0]} rows of {rgb.shape[1]} pixels, and {self._codec} needs even numbers")
        if self._context is None or (self._context.height, self._context.width) != rgb.shape[:2]:
            self._open(rgb.shape[0], rgb.shape[1])
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")
        frame.pts, self._count = self._count, self._count + 1
        if self._wants_key:
            frame.pict_type = self._av.video.frame.PictureType.I
        packets = b"".join(bytes(packet) for packet in self._context.encode(frame))
        self._wants_key = False
        stamp, frame_id = image.header.stamp, image.header.frame_id
        fields = {"timestamp": stamp, "frame_id": frame_id, "data": np.frombuffer(packets, np.uint8)}
        message = schemas.message(schemas.COMPRESSED_VIDEO, **fields, format=NAMES[self._codec])
        return (self._topic, schemas.COMPRESSED_VIDEO, schemas.encode(message)) if packets else None

    def _open(self, height_px: int, width_px: int) -> None:
        from fractions import Fraction

        name, options = VIDEO[self._codec]
        context: Any = self._av.CodecContext.create(name, "w")
        context.height, context.width, context.pix_fmt = height_px, width_px, "yuv420p"
        context.time_base, context.framerate = Fraction(1, 30), Fraction(30, 1)
        context.gop_size, context.max_b_frames, context.thread_count = KEY_EVERY, 0, 1
        context.options = options
        self._context, self._count = context, 0


def is_key(message: Any) -> bool:
    """Return whether a CompressedVideo of ours shows without those before it: its parameter sets come first."""
    unit = bytes(message.data[:8]).partition(b"\0\0\1")[2][:1]
    first = {"h264": lambda byte: byte & 31 == 7, "h265": lambda byte: byte >> 1 & 63 == 32}
    return bool(unit) and first[message.format](unit[0])


class Decoder:
    """Turns what was kept of one camera, in order, into pictures again."""

    def __init__(self) -> None:
        self._context: Any = None

    def __call__(self, type_name: str, message: Any) -> list[np.ndarray]:
        """Return the pictures, rgb8 (H, W, 3), that a message completes."""
        return _DECODE[type_name](self, message)

    def picture(self, message: Any) -> list[np.ndarray]:
        try:
            return [pictures.rgb(message)]
        except ValueError:
            return []

    def video(self, message: Any) -> list[np.ndarray]:
        import av

        if self._context is None:
            self._context = av.CodecContext.create(CODECS[message.format], "r")
            self._context.flags |= av.codec.context.Flags.low_delay
            self._context.thread_count = 1
        try:
            frames = self._context.decode(av.Packet(bytes(message.data)))
        except av.FFmpegError:  # before the first key frame
            return []
        return [frame.to_ndarray(format="rgb24") for frame in frames]


_DECODE: dict[str, Callable[[Decoder, Any], list[np.ndarray]]] = {
    schemas.IMAGE: Decoder.picture,
    schemas.COMPRESSED_IMAGE: Decoder.picture,
    schemas.COMPRESSED_VIDEO: Decoder.video,
}
VIEW_TOPICS = {
    schemas.IMAGE: topics.image(""),
    schemas.COMPRESSED_IMAGE: topics.compressed(""),
    schemas.COMPRESSED_VIDEO: topics.video(""),
}
"""How the topic of a full-size view ends, by type."""
