"""A graph in a worker process with its own Python.

For robots whose GPU runtime wants another Python than ROS: Jazzy runs on 3.12, JetPack 6
ships ONNX Runtime for 3.10. Both ends are on one machine: a child joined by a socket pair,
or one worker for all sessions behind a socket of the file system, which may be in another container.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.store.manifest import ModelError, SessionLost

from . import worker
from .alone import alone
from .session import Arrays, Port

CLOSE_S = 1.0


class WorkerSession:
    """A graph that runs in another process; every wait is bounded."""

    gap = 0.0

    def __init__(
        self,
        graph: bytes,
        where: str = sys.executable,
        providers: tuple[str, ...] = worker.PROVIDERS,
        start_timeout_s: float = 300.0,
        run_timeout_s: float = 2.0,
    ) -> None:
        """Start the worker, or connect to it, and load the graph in it.

        Args:
            graph: An ONNX file.
            where: An interpreter to start a worker with, or the socket of one that listens.
            providers: Execution providers, best first.
            start_timeout_s: For loading the graph, and for its first run with inputs of a shape: TensorRT builds then.
            run_timeout_s: For every other run; a child that takes longer is killed, one that listens ends itself.

        Raises:
            ModelError: when the worker does not start or refuses the graph.
        """
        self._start_timeout_s, self._run_timeout_s = start_timeout_s, run_timeout_s
        self._known: set[tuple[Any, ...]] = set()
        self._process: subprocess.Popen[bytes] | None = None
        if Path(where).is_socket():
            self._connect(where)
        else:
            self._start(where)
        load = {"op": "load", "providers": list(providers)}
        header, _ = self._ask(load, {"graph": np.frombuffer(graph, dtype=np.uint8)}, start_timeout_s, "load the graph")
        if header["op"] != "ok":
            self.close()
            raise ModelError(f"not a graph the inference worker can load: {header.get('why')}")
        self.inputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in header["inputs"])
        self.outputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in header["outputs"])
        self.provider: str = header["provider"]

    def _connect(self, path: str) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        try:
            self._link.connect(path)
        except OSError as why:
            self._link.close()
            raise ModelError(f"no inference worker listens on {path}: {why.strerror}; start it") from None

    def _start(self, python: str) -> None:
        self._link, theirs = socket.socketpair()
        command = alone(python, worker.__file__, str(theirs.fileno()))
        # A session of its own: Ctrl-C is for the node, which closes the line; a closed line ends the worker.
        options: dict[str, Any] = {
            "pass_fds": [theirs.fileno()],
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
        }
        try:
            self._process = subprocess.Popen(command, **options)
        except OSError as why:
            self._link.close()
            raise ModelError(f"cannot start the inference worker {python}: {why.strerror}") from None
        finally:
            theirs.close()

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        shape = tuple(sorted((name, *np.shape(value)) for name, value in feeds.items()))
        timeout_s = self._run_timeout_s if shape in self._known else self._start_timeout_s
        header, arrays = self._ask({"op": "run"}, feeds, timeout_s, "answer")
        if header["op"] != "ok":
            raise ModelError(f"the graph refused its inputs: {header.get('why')}")
        self._known.add(shape)
        return arrays

    def close(self) -> None:
        """Let the worker go; one that even SIGKILL does not end, as in a driver that hangs, is left behind."""
        self._link.close()
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=CLOSE_S)
            return
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=CLOSE_S)

    def _ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], timeout_s: float, doing: str
    ) -> tuple[dict[str, Any], Arrays]:
        try:
            frame = worker.pack({**header, "within_s": timeout_s}, arrays)
        except worker.FrameError as why:
            raise ModelError(f"the graph refused its inputs: {why}") from None
        try:
            worker.send(self._link, frame, timeout_s)
            return worker.receive(self._link, timeout_s)
        except TimeoutError:
            if self._process is not None:
                self._process.kill()
            self.close()
            raise SessionLost(f"the inference worker did not {doing} within {timeout_s:g} s; it was ended") from None
        except (EOFError, OSError, worker.FrameError) as why:
            self.close()
            raise SessionLost(f"the inference worker could not {doing}: {why}; its log says more") from None
