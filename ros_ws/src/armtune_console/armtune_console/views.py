"""Other people's live views, one setting each: Foxglove over WebSocket, Rerun over gRPC. For this machine only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .film import Film
from .settings import LOOPBACK, ConsoleParams

Snapshot = dict[str, Any]
_NUMBERS = {
    "reward/probability": ("reward", "probability"),
    "policy/inference_ms": ("policy", "inference_ms"),
    "reward/latency_ms": ("reward", "latency_ms"),
    "learner/updates_done": ("learner", "updates_done"),
}


class Views:
    """Those that are on."""

    def __init__(self, views: Sequence[Any]) -> None:
        self._views = views

    @property
    def is_open(self) -> bool:
        return bool(self._views)

    def show(self, said: Snapshot, film: Film, stamp_ns: int) -> None:
        for view in self._views:
            view.show(said, film, stamp_ns)

    def close(self) -> None:
        for view in self._views:
            view.close()


def open_views(params: ConsoleParams, cameras: Sequence[str]) -> Views:
    """Open what the settings ask for.

    Raises:
        ValueError: naming the package that is not installed.
    """
    views: list[Any] = []
    if params.foxglove_port:
        views.append(_Foxglove(params.foxglove_port, cameras))
    if params.rerun_port:
        views.append(_Rerun(params.rerun_port, cameras))
    return Views(views)


class _Foxglove:
    """Pictures as ``foxglove.CompressedImage`` and the board as JSON, for the layout in ``share/armtune_console``."""

    def __init__(self, port: int, cameras: Sequence[str]) -> None:
        try:
            import foxglove
            from foxglove import Channel
            from foxglove.channels import CompressedImageChannel
        except ImportError:
            raise ValueError(
                "console.foxglove_port: needs the package foxglove-sdk: pip install foxglove-sdk"
            ) from None
        self._server = foxglove.start_server(name="armtune", host=LOOPBACK[0], port=port)
        self._board = Channel("/armtune/board", message_encoding="json")
        self._pictures = {name: CompressedImageChannel(f"/{name}") for name in cameras}
        self._seen = dict.fromkeys(cameras, 0)

    def show(self, said: Snapshot, film: Film, stamp_ns: int) -> None:
        from foxglove.messages import CompressedImage, Timestamp

        self._board.log(json.dumps(said).encode(), log_time=stamp_ns)
        at = Timestamp(sec=stamp_ns // 10**9, nsec=stamp_ns % 10**9)
        for name, channel in self._pictures.items():
            self._seen[name], data = film.take(name, self._seen[name])
            if data:
                channel.log(CompressedImage(timestamp=at, frame_id=name, data=data, format="jpeg"), log_time=stamp_ns)

    def close(self) -> None:
        self._server.stop()


class _Rerun:
    """Pictures and numbers as a stream that a viewer connects to."""

    def __init__(self, port: int, cameras: Sequence[str]) -> None:
        try:
            import rerun
        except ImportError:
            raise ValueError("console.rerun_port: needs the package rerun-sdk: pip install rerun-sdk") from None
        self._rerun = rerun
        self._stream: Any = rerun.RecordingStream("armtune")
        self._stream.serve_grpc(grpc_port=port, server_memory_limit="256MB")
        self._seen = dict.fromkeys(cameras, 0)

    def show(self, said: Snapshot, film: Film, stamp_ns: int) -> None:
        self._stream.set_time("stamp", timestamp=stamp_ns / 1e9)
        for name in self._seen:
            self._seen[name], data = film.take(name, self._seen[name])
            if data:
                self._stream.log(f"camera/{name}", self._rerun.EncodedImage(contents=data, media_type="image/jpeg"))
        for path, (kind, key) in _NUMBERS.items():
            value = said.get(kind, {}).get(key)
            if value is not None:
                self._stream.log(path, self._rerun.Scalars(float(value)))

    def close(self) -> None:
        self._stream.disconnect()
