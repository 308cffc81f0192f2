"""Tiny models made by code: a linear encoder and head, no training library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.store.files import write_whole
from armtune_policies.store.manifest import GOLDEN, SENTENCES, Manifest, entry, write_manifest

SPEC, ACTION = ObservationSpec(height_px=16, width_px=16), ActionSpec()
SAYINGS = ("open the drawer", "close the drawer")


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, np.ndarray]) -> bytes:
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", inputs, outputs, tensors), opset_imports=[helper.make_opsetid("", 20)]
    )
    model.ir_version = 10
    return bytes(model.SerializeToString())


def floats(name: str, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])


def encoder_bytes(size_px: int = 16) -> bytes:
    """Features are the mean of each colour over 255; F = 3."""
    image = helper.make_tensor_value_info("image.front", TensorProto.UINT8, ["n", size_px, size_px, 3])
    nodes = [
        helper.make_node("Cast", ["image.front"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f", "axes"], ["m"], keepdims=0),
        helper.make_node("Div", ["m", "full"], ["features"]),
    ]
    weights = {"axes": np.array([1, 2]), "full": np.float32(255.0)}
    return graph(nodes, [image], [floats("features", 3)], weights)


def head_bytes(seed: int = 0, scale: float = 1.0) -> bytes:
    """Proposed is ``centre + half * tanh(W features)``; state and sentence take part by zero."""
    low, high = np.array(ACTION.low, np.float32), np.array(ACTION.high, np.float32)
    weights = {
        "w": np.random.default_rng(seed).normal(size=(3, 7)).astype(np.float32),
        "half": (high - low) / 2 * np.float32(scale),
        "centre": (high + low) / 2,
        "zs": np.zeros((7, 7), np.float32),
        "zt": np.zeros((384, 7), np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["a"]),
        helper.make_node("MatMul", ["state", "zs"], ["b"]),
        helper.make_node("MatMul", ["sentence", "zt"], ["c"]),
        helper.make_node("Sum", ["a", "b", "c"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["t", "half"], ["u"]),
        helper.make_node("Add", ["u", "centre"], ["proposed"]),
    ]
    ports = [floats("features", 3), floats("state", 7), floats("sentence", 384)]
    return graph(nodes, ports, [floats("proposed", 7)], weights)


def golden_arrays(head: bytes) -> dict[str, np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    features = images.mean(axis=(1, 2), dtype=np.float64).astype(np.float32) / 255
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(head).graph.initializer}
    proposed = np.tanh(features @ weights["w"]) * weights["half"] + weights["centre"]
    return {
        "in.image.front": images,
        "in.features": features,
        "in.state": np.zeros((2, 7), np.float32),
        "in.sentence": np.zeros((2, 384), np.float32),
        "out.features": features,
        "out.proposed": proposed.astype(np.float32),
    }


MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    def make(name: str = "tiny", kind: str = "policy", **change: Any) -> Path:
        """Write a model folder; ``change`` replaces files by name, or fields of the manifest."""
        folder = tmp_path / name
        head = change.pop("head", head_bytes())
        encoder = encoder_bytes()
        blobs = {
            "encoder.onnx": encoder,
            "head.onnx": head,
            GOLDEN: save(change.pop("golden", golden_arrays(head_bytes() if kind == "policy" else head))),
            SENTENCES: save({"embeddings": np.eye(2, 384, dtype=np.float32)}),
        }
        if kind == "head":
            del blobs["encoder.onnx"]
        blobs.update({k: v for k, v in change.items() if isinstance(v, bytes)})
        for file, data in blobs.items():
            write_whole(folder / file, data)
        fields: dict[str, Any] = {
            "kind": kind,
            "name": name,
            "action": ACTION,
            "observation": SPEC,
            "files": {file: entry(data) for file, data in blobs.items()},
            "opset": 20,
            "licence": "Apache-2.0",
            "sentences": SAYINGS,
            "feature_size": 3,
            "encoder_digest": entry(blobs.get("encoder.onnx", encoder)).sha256,
        }
        fields.update({k: v for k, v in change.items() if not isinstance(v, bytes)})
        write_manifest(folder, Manifest(**fields))
        return folder

    return make


@pytest.fixture
def scaled_head() -> bytes:
    """A head that proposes up to twice the bounds."""
    return head_bytes(scale=2.0)


@pytest.fixture
def other_head() -> bytes:
    """A head with other weights than the first policy's."""
    return head_bytes(seed=7)
