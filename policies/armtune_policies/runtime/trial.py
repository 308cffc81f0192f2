"""The child in which graphs from outside are looked at, loaded and run once, before a process that matters does.

Run as a file by an interpreter of its own with limits on memory and time, so it imports nothing of ours. In: a line of
JSON, ``{"cpu_s": seconds, "graphs": [[name, bytes], ...]}``, then the graphs. Out: a line of JSON for each graph as it
begins, and one for a flaw, or at the end.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from typing import Any

MORE_BYTES, TIMES = 1 << 30, 4
"""So much more memory than the libraries take may a graph use, and so many times its own size."""
MAX_NODES, MAX_TENSOR_BYTES, MAX_INPUT_BYTES = 20_000, 1 << 29, 1 << 28
EXTERNAL = 1
"""Of ``TensorProto``."""
INPUTS = {1: "float32", 2: "uint8", 7: "int64"}

_ARITHMETIC = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitShift
    Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvInteger
    ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal
    Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
    LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg
    NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize RoiAlign RotaryEmbedding Round ScatterElements ScatterND Selu Shape Shrink
    Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan
    Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = frozenset(_ARITHMETIC.split())
"""Arithmetic on arrays. Not among them: what loops or branches, holds a graph, draws at random, decodes a picture."""


class Flaw(ValueError):
    """Why a graph will not do: what was expected and what came."""


def look(model: Any) -> None:
    """Refuse a parsed ModelProto that holds more than arithmetic on its own arrays.

    Raises:
        Flaw: for the first thing that is not allowed.
    """
    _none(model.functions, "functions of its own")
    _none(model.training_info, "training graphs")
    _none([one.domain for one in model.opset_import if not _is_default(one.domain)], "another domain's operators")
    if len(model.graph.node) > MAX_NODES:
        raise Flaw(f"expected at most {MAX_NODES} operators, got {len(model.graph.node)}")
    _none(model.graph.sparse_initializer, "sparse arrays")
    for node in model.graph.node:
        if not _is_default(node.domain) or node.op_type not in OPERATORS:
            named = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise Flaw(f"expected operators that only compute, got {named}")
        _none([a for a in node.attribute if a.HasField("g") or a.graphs], f"a graph inside {node.op_type}")
        _none([a for a in node.attribute if a.HasField("sparse_tensor")], "sparse arrays")
    for tensor in _tensors(model):
        _look_at(tensor)


def _is_default(domain: str) -> bool:
    return domain in ("", "ai.onnx")


def _none(found: Sequence[Any], what: str) -> None:
    if len(found):
        raise Flaw(f"expected a plain graph, got one with {what}")


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _look_at(tensor: Any) -> None:
    if tensor.data_location == EXTERNAL or tensor.external_data:
        raise Flaw("expected one file, got weights kept in another; export it as a single file")
    count = math.prod(tensor.dims)
    if min(tensor.dims, default=0) < 0 or count * 4 > MAX_TENSOR_BYTES:
        raise Flaw(f"expected arrays of at most {MAX_TENSOR_BYTES} bytes, got one of {count} numbers")


def feeds(model: Any) -> dict[str, Any]:
    """Return zeros for every input, a free size being 1.

    Raises:
        Flaw: for inputs of another type than ours, or too large.
    """
    import numpy as np

    held, made = {one.name for one in model.graph.initializer}, {}
    for one in model.graph.input:
        kind = one.type.tensor_type
        if one.name in held:
            continue
        if kind.elem_type not in INPUTS:
            raise Flaw(f"input {one.name}: expected an array of {', '.join(INPUTS.values())}, got another type")
        shape = [d.dim_value if d.HasField("dim_value") else 1 for d in kind.shape.dim]
        if min(shape, default=0) < 0 or math.prod(shape) * 4 > MAX_INPUT_BYTES:
            raise Flaw(f"input {one.name}: expected at most {MAX_INPUT_BYTES} bytes, got the shape {shape}")
        made[one.name] = np.zeros(shape, INPUTS[kind.elem_type])
    return made


def try_graph(graph: bytes) -> None:
    """Look at a graph, check it, load it and run it once.

    Raises:
        Flaw: when it will not do.
    """
    import onnx
    import onnxruntime

    try:
        model = onnx.load_from_string(graph)
    except Exception as why:  # protobuf's own DecodeError moved between its versions
        raise Flaw(f"expected an ONNX file, got {len(graph)} other bytes ({_line(why)})") from None
    look(model)
    zeros = feeds(model)
    try:
        onnx.checker.check_model(graph)
    except Exception as why:  # the checker's errors share no base with protobuf's
        raise Flaw(f"ONNX's checker says: {_line(why)}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(None, zeros)
    except Exception as why:  # onnxruntime's errors share no useful base
        raise Flaw(f"not a graph ONNX Runtime {onnxruntime.__version__} can load and run: {_line(why)}") from None


def _line(why: BaseException) -> str:
    lines = [line for line in str(why).strip().splitlines() if line.strip()]
    return (lines or [type(why).__name__])[0][:300]


def limit(largest_bytes: int, cpu_s: int) -> None:
    """From now on bound this process's memory and time; it may write no file and leave no core.

    What a parent with limits of its own left us, as the learner does, cannot be raised and stays.
    """
    with open("/proc/self/statm", encoding="ascii") as file:
        now_bytes = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    spent_s = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    most = now_bytes + MORE_BYTES + TIMES * largest_bytes
    bounds = {resource.RLIMIT_AS: most, resource.RLIMIT_CPU: spent_s + cpu_s, resource.RLIMIT_FSIZE: 0,
              resource.RLIMIT_CORE: 0}  # fmt: skip
    for what, bound in bounds.items():
        _, left = resource.getrlimit(what)
        bound = bound if left == resource.RLIM_INFINITY else min(bound, left)
        resource.setrlimit(what, (bound, bound))


def main() -> None:
    """Try what standard input holds."""
    import onnx  # noqa: F401 - before the limits: what the libraries take does not count
    import onnxruntime  # noqa: F401

    os.nice(10)  # control goes first, also where processors are shared out by session (sched(7))
    with contextlib.suppress(OSError), os.fdopen(os.open("/proc/self/autogroup", os.O_WRONLY), "w") as told:
        told.write("10")
    asked = json.loads(sys.stdin.buffer.readline())
    limit(max(size for _, size in asked["graphs"]), asked["cpu_s"])
    for name, size in asked["graphs"]:
        print(json.dumps({"graph": name}), flush=True)
        try:
            try_graph(sys.stdin.buffer.read(size))
        except Flaw as why:
            print(json.dumps({"why": str(why)}), flush=True)
            return
        except MemoryError:
            print(json.dumps({"why": "expected a graph that fits in memory"}), flush=True)
            return
    print(json.dumps({"done": True}), flush=True)
    os._exit(0)  # skip slow teardown of the runtime


if __name__ == "__main__":
    main()
