"""A graph in a worker process with its own Python.

For robots whose GPU runtime wants another Python than ROS: Jazzy runs on 3.12, JetPack 6
ships ONNX Runtime for 3.10. Both ends are on one machine, joined by a socket pair.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.store.manifest import ModelError

from . import worker
from .session import Arrays, Port


class WorkerSession:
    """A graph that runs in another process; every wait is bounded."""

    def __init__(
        self,
        graph: bytes,
        python: str = sys.executable,
        providers: tuple[str, ...] = worker.PROVIDERS,
        start_timeout_s: float = 60.0,
        run_timeout_s: float = 2.0,
    ) -> None:
        """Start the worker and load the graph in it.

        Raises:
            ModelError: when the worker does not start or refuses the graph.
        """
        self._run_timeout_s = run_timeout_s
        self._link, theirs = socket.socketpair()
        command = [python, "-I", str(Path(worker.__file__)), str(theirs.fileno())]
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
            raise ModelError(f"cannot start the inference worker {python}: {why.strerror}; set worker_python") from None
        finally:
            theirs.close()
        load = {"op": "load", "providers": list(providers)}
        header, _ = self._ask(load, {"graph": np.frombuffer(graph, dtype=np.uint8)}, start_timeout_s, "load the graph")
        if header["op"] != "ok":
            self.close()
            raise ModelError(f"not a graph the inference worker can load: {header.get('why')}")
        self.inputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in header["inputs"])
        self.outputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in header["outputs"])
        self.provider: str = header["provider"]

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        header, arrays = self._ask({"op": "run"}, feeds, self._run_timeout_s, "answer")
        if header["op"] != "ok":
            raise ModelError(f"the graph refused its inputs: {header.get('why')}")
        return arrays

    def close(self) -> None:
        self._link.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5.0)

    def _ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], timeout_s: float, doing: str
    ) -> tuple[dict[str, Any], Arrays]:
        try:
            frame = worker.pack(header, arrays)
        except worker.FrameError as why:
            raise ModelError(f"the graph refused its inputs: {why}") from None
        try:
            worker.send(self._link, frame, timeout_s)
            return worker.receive(self._link, timeout_s)
        except TimeoutError:
            self._process.kill()
            self.close()
            raise ModelError(f"the inference worker did not {doing} within {timeout_s:g} s; it was ended") from None
        except (EOFError, OSError, worker.FrameError) as why:
            self.close()
            raise ModelError(f"the inference worker could not {doing}: {why}; its log says more") from None
