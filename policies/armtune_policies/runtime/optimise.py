"""Smaller or quicker graphs by ONNX Runtime's own tools, and how far their answers are from the original's.

Only default operators are kept, for nothing else passes the trial of a graph from outside (``trial``); so no fused
operators of ONNX Runtime's own, which it makes anyway when it loads a graph.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from armtune_policies.store.manifest import ModelError

from .ort_session import OrtSession
from .session import Arrays

BOUNDS: Mapping[str, float] = MappingProxyType({"graph": 1e-5, "half": 0.01, "int8": 0.01})
"""What can be done to a graph, and how far its answers may be off then, over their scale, unless told otherwise."""
BATCH = 32


def optimised(graph: bytes, how: str) -> bytes:
    """Return a graph with the same inputs and outputs, as one file.

    ``graph``: constants folded, dead and doubled operators taken out. ``half``: weights and arithmetic in float16,
    inputs and outputs as they were. ``int8``: weights of matrix products in 8 bits, what they meet is quantised as it
    comes; convolutions stay, for in 8 bits they took eight times longer (measured on x86).

    Raises:
        ModelError: when ONNX Runtime's tools cannot do it.
    """
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        try:
            return {"graph": _folded, "half": _halved, "int8": _quantised}[how](graph, Path(scratch) / "graph.onnx")
        except Exception as why:  # their errors share no useful base
            said = (str(why).strip().splitlines() or [type(why).__name__])[0][:300]
            raise ModelError(f"cannot make the graph {how}: {said}") from None


def _folded(graph: bytes, path: Path) -> bytes:
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    model = onnx.load_from_string(path.read_bytes())
    kept = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]  # it names all it knows
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return bytes(model.SerializeToString())


def _halved(graph: bytes, path: Path) -> bytes:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = OnnxModel(convert_float_to_float16(onnx.load_from_string(graph), keep_io_types=True))
    model.topological_sort()  # the casts of inputs were put last, and a graph is in the order of its work
    return bytes(model.model.SerializeToString())


def _quantised(graph: bytes, path: Path) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    products = ["MatMul", "Gemm"]
    model = onnx.load_from_string(graph)
    quantize_dynamic(model, path, op_types_to_quantize=products, per_channel=True, weight_type=QuantType.QInt8)
    return path.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """These tools print and warn as they go."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)


def answers(graph: bytes, feeds: Arrays) -> Arrays:
    """Return a graph's outputs on the CPU for all rows of its inputs."""
    session = OrtSession(graph, ("CPUExecutionProvider",))
    count = len(next(iter(feeds.values())))
    parts = [session.run({n: v[at : at + BATCH] for n, v in feeds.items()}) for at in range(0, count, BATCH)]
    session.close()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def off_by(want: np.ndarray, got: np.ndarray, scale: np.ndarray | float) -> float:
    """Return the largest difference over the scale of its number; infinite when an answer is not finite."""
    gap = float(np.max(np.abs(want - got) / np.maximum(scale, 1e-12), initial=0.0))
    return gap if np.isfinite(gap) else float("inf")
