"""A vision model of the user's own out of an ONNX file: the same graph, with our images before it and features after.

Its operators and weights stay as they are, in the opset they came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from armtune_policies.contract import ObservationSpec, file_digest
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.proving import try_graphs
from armtune_policies.runtime.session import Arrays
from armtune_policies.store.files import read_capped
from armtune_policies.store.manifest import MAX_FILE_BYTES, ModelError

from .export import stripped
from .reward.pixels import Pixels
from .vision import POOLED, averaged, facts_of

OPSET_LOW = 13
"""From here on the operators we put around a graph mean the same."""
OURS, THEIRS = "armtune/", "model/"
"""What names in the graph begin with, so that none is there twice."""


@dataclass(frozen=True)
class OnnxVision:
    """As ``vision.Vision``, run by ONNX Runtime one picture at a time: what the encoder's graph is compared with."""

    source: Path
    data: bytes
    """The file as it came, but for the size of its pictures."""
    model: onnx.ModelProto
    pixels: Pixels
    input: str
    output: str
    rank: int
    """Of that output: 2 for features, 3 for tokens, 4 for a map."""
    feature_size: int

    @property
    def opset(self) -> int:
        return int(max(one.version for one in self.model.opset_import))

    @property
    def weights(self) -> str:
        """Name of the file's content, by digest."""
        return file_digest(self.source)

    def features(self, images: Arrays) -> npt.NDArray[np.float32]:
        """Return float32 (N, C * F) of ``image.<camera>`` uint8 (N, H, W, 3), in the spec's order."""
        session, rows = OrtSession(self.data, ("CPUExecutionProvider",)), []
        for several in zip(*images.values()):
            shown = [self.pixels(torch.from_numpy(one[None])).numpy() for one in several]
            rows.append(np.concatenate([averaged(session.run({self.input: one})[self.output])[0] for one in shown]))
        session.close()
        return np.stack(rows).astype(np.float32)

    def graph(self, spec: ObservationSpec) -> bytes:
        """Return the encoder's graph: inputs ``image.<camera>``, output ``features``."""
        model = onnx.compose.add_prefix(self.model, THEIRS)
        inside, shown, size = model.graph, [f"image.{camera}" for camera in spec.cameras], self.feature_size
        before = _before(shown, self.pixels, THEIRS + self.input)
        after = _after(THEIRS + self.output, self.rank, len(shown), size)
        nodes, arrays = [*before[0], *inside.node, *after[0]], [*before[1], *inside.initializer, *after[1]]
        frame: list[str | int | None] = ["n", spec.height_px, spec.width_px, 3]
        graph = helper.make_graph(
            nodes,
            "encoder",
            [helper.make_tensor_value_info(name, TensorProto.UINT8, frame) for name in shown],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(shown) * size])],
            arrays,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)
        return bytes(stripped(made).SerializeToString())


def open_onnx(path: Path, spec: ObservationSpec, size_px: int | None, output: str | None) -> OnnxVision:
    """Return the vision model of an ONNX file. What its pictures were like stands beside it, or one folder up.

    Args:
        path: Of one file with one float32 input (N, 3, S, S), N free or 1, S fixed or free.
        spec: Cameras, and their images' size.
        size_px: Side S of the picture it is shown; None for its own, or what is said beside it.
        output: One of its outputs; None for the only one, or the pooled one.

    Raises:
        ModelError: in one sentence, when the file will not do.
    """
    try:
        data = read_capped(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected an .onnx file or a transformers folder") from None
    except ValueError as why:
        raise ModelError(str(why)) from None
    model = _parsed(path, data)
    facts = facts_of(path.parent, path.parent.parent)
    held = {one.name for one in model.graph.initializer}
    shown = _input(path, [one for one in model.graph.input if one.name not in held])
    sides = {one.dim_value for one in shown.type.tensor_type.shape.dim[2:]} - {0}
    size_px = size_px or max(sides, default=facts.size_px)
    if size_px is None:
        raise ModelError(f"{path}: takes pictures of any size, and none is said beside it; name one by --size")
    if sides - {size_px}:
        raise ModelError(f"{path}: expected a square input of {size_px} px, got {_shape(shown)}")
    for side in shown.type.tensor_type.shape.dim[2:]:
        side.dim_value = size_px
    data, name = model.SerializeToString(), _output(path, [one.name for one in model.graph.output], output)
    try_graphs({path.name: data}, path.parent)
    if (opset := max(one.version for one in model.opset_import)) < OPSET_LOW:
        raise ModelError(f"{path}: expected opset {OPSET_LOW} or later, got {opset}; export it again")
    session = OrtSession(data, ("CPUExecutionProvider",))
    said = session.run({shown.name: np.zeros((1, 3, size_px, size_px), np.float32)})[name]
    session.close()
    pixels = Pixels(spec.height_px, spec.width_px, size_px, facts.mean, facts.std)
    return OnnxVision(path, data, model, pixels, shown.name, name, said.ndim, averaged(said).shape[1])


def _parsed(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(data)
    except Exception as why:  # protobuf's own DecodeError moved between its versions
        raise ModelError(f"{path}: expected an ONNX file, got {len(data)} other bytes ({why})") from None


def _input(path: Path, found: Sequence[onnx.ValueInfoProto]) -> onnx.ValueInfoProto:
    if len(found) != 1:
        names = ", ".join(one.name for one in found)
        raise ModelError(f"{path}: expected one input, a picture; got {names}; export the image tower alone")
    kind = found[0].type.tensor_type
    dims = [dim.dim_value for dim in kind.shape.dim]
    if kind.elem_type != TensorProto.FLOAT or len(dims) != 4 or dims[0] > 1 or dims[1] not in (0, 3):
        got = f"{TensorProto.DataType.Name(kind.elem_type).lower()} {_shape(found[0])}"
        raise ModelError(f"{path}: expected a float input (N, 3, S, S), N free or 1; got {got}")
    return found[0]


def _shape(one: onnx.ValueInfoProto) -> str:
    return f"({', '.join(dim.dim_param or str(dim.dim_value or '?') for dim in one.type.tensor_type.shape.dim)})"


def _output(path: Path, found: Sequence[str], wanted: str | None) -> str:
    name = wanted or (found[0] if len(found) == 1 else POOLED)
    if name not in found:
        raise ModelError(f"{path}: expected --output to be one out of {', '.join(found)}; got {wanted or 'none'}")
    return name


Part = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]
"""Operators, and the arrays they use."""


def _before(shown: Sequence[str], pixels: Pixels, onto: str) -> Part:
    """All cameras' images in one batch, resized and normalised as ``Pixels`` does."""
    arrays = {
        "whole": np.array(255.0, np.float32), "low": np.array(0.0, np.float32), "high": np.array(1.0, np.float32),
        "rows": pixels.rows.numpy(), "columns": np.ascontiguousarray(pixels.columns.numpy().T),
        "mean": pixels.mean.numpy(), "std": pixels.std.numpy(),
    }  # fmt: skip
    nodes = [
        helper.make_node("Concat", list(shown), [f"{OURS}all"], axis=0),
        helper.make_node("Cast", [f"{OURS}all"], [f"{OURS}float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", [f"{OURS}float"], [f"{OURS}planes"], perm=[0, 3, 1, 2]),
        _node("Div", "planes", "whole", "unit"),
        _node("MatMul", "rows", "unit", "tall"),
        _node("MatMul", "tall", "columns", "wide"),
        _node("Clip", "wide", "low", "high", "kept"),
        _node("Sub", "kept", "mean", "centred"),
        helper.make_node("Div", [f"{OURS}centred", f"{OURS}std"], [onto]),
    ]
    return nodes, [numpy_helper.from_array(value, OURS + name) for name, value in arrays.items()]


def _after(said: str, rank: int, cameras: int, size: int) -> Part:
    """Averaged, one row per camera and frame, to one row per frame."""
    arrays = {
        "by_camera": np.array([cameras, -1, size], np.int64),
        "by_frame": np.array([-1, cameras * size], np.int64),
    }
    nodes = []
    if rank == 3:
        nodes.append(helper.make_node("Transpose", [said], [f"{OURS}map"], perm=[0, 2, 1]))
        said = f"{OURS}map"
    if rank > 2:
        nodes.append(helper.make_node("GlobalAveragePool", [said], [f"{OURS}mean_of"]))
        said = f"{OURS}mean_of"
    nodes += [
        helper.make_node("Reshape", [said, f"{OURS}by_camera"], [f"{OURS}split"]),
        helper.make_node("Transpose", [f"{OURS}split"], [f"{OURS}joined"], perm=[1, 0, 2]),
        helper.make_node("Reshape", [f"{OURS}joined", f"{OURS}by_frame"], ["features"]),
    ]
    return nodes, [numpy_helper.from_array(value, OURS + name) for name, value in arrays.items()]


def _node(kind: str, *names: str) -> onnx.NodeProto:
    *inputs, output = [OURS + name for name in names]
    return helper.make_node(kind, inputs, [output])
