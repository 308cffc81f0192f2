"""The worker's side of a session in another Python, and the frames both sides speak.

Run as a file by an interpreter of its own (3.10 or newer, with numpy and onnxruntime), so
it imports nothing of ours. ``worker.py --listen SOCKET`` serves every session of a machine, one a
connection: one process, one context on the accelerator for policy and reward. A frame is the
header's length, a JSON header and the raw bytes of the arrays it lists; dtypes and sizes come from
an allow-list, nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = ("uint8", "int64", "float32")
MAX_HEADER_BYTES = 1 << 20
MAX_FRAME_BYTES = 1 << 30
MAX_ARRAYS = 64
PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
"""Best first; those not built into the runtime are left out, those that fail fall back."""
CPU = "CPUExecutionProvider"
DEVICES = {"TensorrtExecutionProvider": "cuda", "CUDAExecutionProvider": "cuda"}
"""Where a provider has memory of its own; the others compute in the caller's."""
HALF = "half"
"""Beside a provider's name: it may compute in half precision."""
WATCH_S = 0.05

_LENGTH = struct.Struct("<I")
_ORT_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(int64)": "int64"}


class FrameError(ValueError):
    """Bytes that are no frame of ours."""


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Any]:
    """Return the pieces of one frame; arrays of any shape, dtypes as ``DTYPES``.

    Raises:
        FrameError: for another dtype.
    """
    rows, parts = [], []
    for name, value in arrays.items():
        value = np.asarray(value, order="C")
        if value.dtype.name not in DTYPES:
            raise FrameError(f"array {name}: expected a dtype out of {', '.join(DTYPES)}, got {value.dtype.name}")
        rows.append({"name": name, "dtype": value.dtype.name, "shape": list(value.shape)})
        parts.append(value.reshape(-1).view(np.uint8).data)
    text = json.dumps({**header, "arrays": rows}, allow_nan=False).encode()
    return [_LENGTH.pack(len(text)) + text, *parts]


def send(link: socket.socket, frame: Iterable[Any], timeout_s: float) -> None:
    """Send what ``pack`` returned; each piece within ``timeout_s``."""
    link.settimeout(timeout_s)
    for part in frame:
        link.sendall(part)


def receive(link: socket.socket, timeout_s: float) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the next frame's header and arrays; ``timeout_s`` bounds the whole frame.

    Raises:
        TimeoutError: when it does not come in time.
        EOFError: when the other side is gone.
        FrameError: when it is no frame of ours.
    """
    until = time.monotonic() + timeout_s
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size, until))
    if length > MAX_HEADER_BYTES:
        raise FrameError(f"header of {length} bytes, expected at most {MAX_HEADER_BYTES}")
    header = json.loads(bytes(_exactly(link, length, until)))
    rows = header.get("arrays") if isinstance(header, dict) else None
    if not isinstance(rows, list) or len(rows) > MAX_ARRAYS:
        raise FrameError("header without a list of arrays")
    sizes = [_size(row) for row in rows]
    if sum(sizes) > MAX_FRAME_BYTES:
        raise FrameError(f"arrays of {sum(sizes)} bytes, expected at most {MAX_FRAME_BYTES}")
    arrays = {}
    for row, size in zip(rows, sizes):
        data = np.frombuffer(_exactly(link, size, until), dtype=row["dtype"])
        arrays[row["name"]] = data.reshape(row["shape"])
    return header, arrays


def _size(row: Any) -> int:
    """Bytes of the array a header row announces."""
    good = isinstance(row, dict) and isinstance(row.get("name"), str) and row.get("dtype") in DTYPES
    shape = row.get("shape") if good else None
    if not isinstance(shape, list) or len(shape) > 8 or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise FrameError(f"array header {row!r} is not allowed")
    return math.prod(shape) * np.dtype(row["dtype"]).itemsize


def _exactly(link: socket.socket, size: int, until: float) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        left_s = until - time.monotonic()
        if not left_s > 0:
            raise TimeoutError("the other side did not answer in time")
        link.settimeout(left_s)
        count = link.recv_into(view)
        if not count:
            raise EOFError("the other side closed the line")
        view = view[count:]
    return data


def open_graph(ort: Any, graph: bytes, providers: Iterable[str]) -> Any:
    """Return an ONNX Runtime session: one thread, no spinning, one file."""
    if b"\n\x08location\x12" in graph:  # TensorProto.external_data: weights in a file no digest covers
        raise ValueError("the graph keeps weights in another file; export it as a single file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = ort.get_available_providers()
    asked = [name.partition(":") for name in providers]
    wanted = [(name, _options(name, how == HALF)) for name, _, how in asked if name in available]
    return ort.InferenceSession(graph, options, providers=wanted or [(CPU, {})])


def _options(provider: str, half: bool) -> dict[str, str]:
    """Return a provider's options: full precision unless half is asked for, engines kept between starts.

    TF32, on by default on newer GPUs, has 10 bits of mantissa: a model would not give its stored outputs.
    https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
    """
    if provider == "CUDAExecutionProvider":
        return {"use_tf32": "0"}
    if provider != "TensorrtExecutionProvider":
        return {}
    if not half:
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "armtune/engines"
    cache.mkdir(parents=True, exist_ok=True)
    kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache), "trt_timing_cache_enable": "1"}
    return {**kept, "trt_fp16_enable": str(int(half))}


def runner(ort: Any, session: Any) -> Any:
    """Return what runs a session: feeds by name to outputs by name. On an accelerator its memory is bound."""
    names = [node.name for node in session.get_outputs()]
    device = DEVICES.get(session.get_providers()[0])
    if device is not None:
        return Bound(ort, session, names, device)
    return lambda feeds: dict(zip(names, session.run(names, dict(feeds))))


class Bound:
    """A session whose inputs keep their place in an accelerator's memory while their shapes stay, and its outputs.

    https://onnxruntime.ai/docs/performance/tune-performance/iobinding.html
    """

    def __init__(self, ort: Any, session: Any, names: list[str], device: str) -> None:
        self._ort, self._session, self._names, self._device = ort, session, names, device
        self._wanted = {node.name for node in session.get_inputs()}
        self._shapes: dict[str, Any] = {}

    def __call__(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the outputs by name, in the caller's memory.

        Raises:
            ValueError: when inputs are missing or too many; what onnxruntime raises for those that do not fit.
        """
        if set(feeds) != self._wanted:
            raise ValueError(f"expected inputs {', '.join(sorted(self._wanted))}; got {', '.join(sorted(feeds))}")
        shapes = {name: (np.shape(value), np.asarray(value).dtype) for name, value in feeds.items()}
        if shapes == self._shapes:
            for name, value in feeds.items():
                self._inputs[name].update_inplace(np.ascontiguousarray(value))
        else:
            self._shapes = {}  # inputs that are refused must not count as bound
            self._bind(feeds)
        self._session.run_with_iobinding(self._binding)
        self._shapes = shapes
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu()))

    def _bind(self, feeds: Mapping[str, Any]) -> None:
        self._binding = self._session.io_binding()
        # A copy: on the CPU the array itself would be what the next inputs are written to.
        make = self._ort.OrtValue.ortvalue_from_numpy
        self._inputs = {name: make(np.array(value, order="C"), self._device, 0) for name, value in feeds.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name in self._names:
            self._binding.bind_output(name, self._device)


def ports(session: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return ``[name, dtype, shape]`` of each input and output; a free size is -1."""

    def rows(nodes: Any) -> list[list[Any]]:
        return [
            [n.name, _ORT_DTYPES.get(n.type, n.type), [d if isinstance(d, int) else -1 for d in n.shape]] for n in nodes
        ]

    return rows(session.get_inputs()), rows(session.get_outputs())


def sentence(why: BaseException) -> str:
    """Return the first line of an error, shortened."""
    return (str(why).strip().splitlines() or [type(why).__name__])[0][:300]


Due = dict[int, float]
"""By thread, until when what it works at must be done, on the steady clock [s]."""


def serve(link: socket.socket, ort: Any, due: Due) -> None:
    """Load one graph, answer runs until the other side closes the line; ``due`` says until when it is at work."""
    run: Any = None
    while True:
        try:
            header, arrays = receive(link, timeout_s=3600.0)
        except TimeoutError:
            continue
        except EOFError:
            return
        due[threading.get_ident()] = time.monotonic() + float(header.get("within_s", 3600.0))
        try:
            if header.get("op") == "load":
                session = open_graph(ort, arrays["graph"].tobytes(), header["providers"])
                inputs, outputs = ports(session)
                run = runner(ort, session)
                answer = {"inputs": inputs, "outputs": outputs, "provider": session.get_providers()[0]}
                frame = pack({"op": "ok", **answer}, {})
            else:
                frame = pack({"op": "ok"}, run(arrays))
        except Exception as why:  # every failure of the graph is told to the other side
            frame = pack({"op": "error", "why": sentence(why)}, {})
        due.pop(threading.get_ident(), None)
        try:
            send(link, frame, 10.0)
        except OSError:
            return


def listen(path: str, ort: Any) -> None:
    """Serve every connection to a socket of the file system; end the process when one hangs: who waits cannot.

    Whoever started it starts it again, and its clients find new models behind the same socket.
    """
    due: Due = {}
    Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        Path(path).chmod(0o660)
        server.listen(8)
        threading.Thread(target=_accept, args=(server, ort, due), daemon=True).start()
        print(f"serving {ort.__version__}: {', '.join(ort.get_available_providers())}", flush=True)
        while not any(time.monotonic() > until for until in list(due.values())):
            time.sleep(WATCH_S)
    print("error: a model hangs; ending", file=sys.stderr, flush=True)
    os._exit(1)


def _accept(server: socket.socket, ort: Any, due: Due) -> None:
    while True:
        link, _ = server.accept()
        threading.Thread(target=_serve_one, args=(link, ort, due), daemon=True).start()


def _serve_one(link: socket.socket, ort: Any, due: Due) -> None:
    with link:
        try:
            serve(link, ort, due)
        except (FrameError, OSError, ValueError) as why:  # another client's session goes on
            print(f"error: {sentence(why)}", file=sys.stderr, flush=True)


def main() -> None:
    """Serve on the socket whose number is the argument, or after ``--listen`` on one of the file system."""
    import onnxruntime

    if sys.argv[1] == "--listen":
        listen(sys.argv[2], onnxruntime)
    with socket.socket(fileno=int(sys.argv[1])) as link:
        serve(link, onnxruntime, {})
    os._exit(0)  # skip slow teardown of the runtime's threads


if __name__ == "__main__":
    main()
