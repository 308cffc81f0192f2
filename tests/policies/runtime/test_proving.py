"""One hostile graph for each trick, in a folder whose manifest tells the truth about it: refused, and we live on."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.runtime import proving, trial
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import ModelError, load_model

pytestmark = pytest.mark.fault("F54")
MakeModel = Callable[..., Path]
DEFAULT = helper.make_opsetid("", 20)
X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")


def model(nodes: list[Any], weights: dict[str, Any] | None = None, **more: Any) -> ModelProto:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", more.pop("inputs", [X]), more.pop("outputs", [Y]), tensors)
    made = helper.make_model(graph, opset_imports=more.pop("opset_imports", [DEFAULT]), **more)
    made.ir_version = 10
    return made


def outside(location: str) -> ModelProto:
    """Weights in another file."""
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.zeros(1, np.float32)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return made


def outside_in_a_constant() -> ModelProto:
    tensor = outside("../passwords").graph.initializer[0]
    return model([helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("Add", ["x", "w"], ["y"])])


def foreign(domain: str, operator: str, **attributes: Any) -> ModelProto:
    node = helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)
    return model([node], opset_imports=[DEFAULT, helper.make_opsetid(domain, 1)])


def _spin() -> GraphProto:
    nodes = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["a"], ["b"])]
    scalar = [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, [])]
    ins = [*scalar, helper.make_tensor_value_info("a", 1, [1])]
    return helper.make_graph(nodes, "spin", ins, [helper.make_tensor_value_info("on", 9, []),
                                                 helper.make_tensor_value_info("b", 1, [1])])  # fmt: skip


def endless() -> ModelProto:
    node = helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=_spin())
    return model([node], {"n": np.int64(1 << 62), "yes": np.bool_(True)})


def hidden(graph: GraphProto) -> ModelProto:
    """A graph as an attribute of an operator that has none."""
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.append(helper.make_attribute("body", graph))
    return model([node])


def deep_functions(depth: int = 500) -> ModelProto:
    """Each calls the next; to inline them all is what crashes a session."""
    own = helper.make_opsetid("f", 1)
    bodies = [
        helper.make_function(
            "f", f"f{i}", ["x"], ["y"],
            [helper.make_node(f"f{i + 1}" if i < depth else "Relu", ["x"], ["y"], domain="f" if i < depth else "")],
            [DEFAULT, own],
        )
        for i in range(depth + 1)
    ]  # fmt: skip
    return model([helper.make_node("f0", ["x"], ["y"], domain="f")], functions=bodies, opset_imports=[DEFAULT, own])


def grown(*shape: int) -> ModelProto:
    """A few bytes that ask for an array of this shape."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["big"]), helper.make_node("ReduceSum", ["big"], ["all"]),
             helper.make_node("Add", ["x", "all"], ["y"])]  # fmt: skip
    return model(nodes, {"s": np.array(shape)})


def claims(count: int) -> ModelProto:
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.zeros(1, np.float32)})
    made.graph.initializer[0].dims[0] = count
    return made


def wide_input() -> ModelProto:
    wide = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1 << 40])
    return model([helper.make_node("ReduceSum", ["x"], ["y"])], inputs=[wide])


def nested_types(depth: int = 3000) -> bytes:
    """Protobuf in protobuf: a parser that follows has no end to its stack."""
    inner = b""
    for _ in range(depth):  # ModelProto.graph > node > attribute > g > node ...
        size = len(inner)
        varint = bytearray()
        while size > 127:
            varint.append(size & 127 | 128)
            size >>= 7
        inner = b"\x0a" + bytes([*varint, size]) + inner
    return inner


TRICKS: dict[str, tuple[Callable[[], ModelProto | bytes], str]] = {
    "external data by ..": (lambda: outside("../../etc/passwd"), "weights kept in another"),
    "external data by a link": (lambda: outside("link.bin"), "weights kept in another"),
    "external data in a constant": (outside_in_a_constant, "weights kept in another"),
    "operator of its own": (lambda: foreign("evil", "Shell", command="id"), "another domain's operators"),
    "native code": (lambda: foreign("com.microsoft", "EPContext", ep_cache_context="x"), "another domain's operators"),
    "domain that is not imported": (lambda: model([helper.make_node("Relu", ["x"], ["y"], domain="e")]), "got e.Relu"),
    "random numbers": (lambda: model([helper.make_node("RandomNormalLike", ["x"], ["y"])]), "got RandomNormalLike"),
    "endless loop": (endless, "only compute, got Loop"),
    "graph where none belongs": (lambda: hidden(endless().graph), "a graph inside Relu"),
    "functions within functions": (deep_functions, "functions of its own"),
    "array made giant": (lambda: grown(1 << 20, 1 << 20), "can load and run"),
    "array of all memory": (lambda: grown(1 << 30), "can load and run"),
    "array that claims more than it has": (lambda: claims(1 << 50), "expected arrays of at most"),
    "array shorter than it claims": (lambda: claims(1000), "checker says|can load and run"),
    "array of less than nothing": (lambda: claims(-5), "expected arrays of at most"),
    "giant input": (wide_input, "expected at most"),
    "chain without end": (lambda: model([helper.make_node("Relu", ["x"], ["y"])] * 20_001), "at most 20000 operators"),
    "messages within messages": (nested_types, "expected an ONNX file|checker says|can load"),
    "no graph": (lambda: b"\x80\x04\x95" + bytes(500), "expected an ONNX file"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_hostile_graph_is_refused_in_a_sentence(make_model: MakeModel, trick: str) -> None:
    make, says = TRICKS[trick]
    made = make()
    data = made if isinstance(made, bytes) else bytes(made.SerializeToString())
    with pytest.raises(ModelError, match=rf"tiny/encoder\.onnx: .*({says})") as caught:
        Policy.load(make_model(**{"encoder.onnx": data}), ActionSpec(), ObservationSpec(height_px=16, width_px=16))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def test_graph_that_takes_too_long_ends_its_child_not_us(make_model: MakeModel) -> None:
    side = np.array([4096, 4096])
    nodes = [helper.make_node("Expand", ["x", "side"], ["a0"])]
    nodes += [helper.make_node("MatMul", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(100)]
    nodes += [helper.make_node("ReduceSum", ["a100"], ["s"]), helper.make_node("Add", ["x", "s"], ["y"])]
    folder = make_model(**{"encoder.onnx": bytes(model(nodes, {"side": side}).SerializeToString())})
    with pytest.raises(ModelError, match="did not load and run within 1 s of processor time"):
        proving.prove(load_model(folder), folder, cpu_s=1)


def test_death_of_the_child_is_told_by_its_name() -> None:
    assert "(SIGSEGV)" in proving._death(-signal.SIGSEGV, 1) and "(code 3)" in proving._death(3, 1)


def test_child_of_a_process_with_less_memory_than_a_graph_may_use_has_no_more() -> None:
    graph = bytes(model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString())
    asked = json.dumps({"cpu_s": 5, "graphs": [["encoder.onnx", len(graph)]]}).encode() + b"\n" + graph
    most = trial.MORE_BYTES
    bounded = lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))  # noqa: E731
    command = [sys.executable, trial.__file__]
    done = subprocess.run(command, input=asked, capture_output=True, preexec_fn=bounded, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1]) == {"done": True}, done.stderr


def test_each_file_is_tried_once_by_a_process(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    files, tried = load_model(make_model()), []
    monkeypatch.setattr(proving, "_proven", set())
    monkeypatch.setattr(proving, "try_graphs", lambda named, *_: tried.append(sorted(named)))
    for _ in range(2):
        proving.prove(files, Path("here"))
    assert tried == [["encoder.onnx", "head.onnx"]]


def test_python_without_the_libraries_is_told_what_to_install(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(bare))
    monkeypatch.setattr(proving, "_proven", set())
    with pytest.raises(ModelError, match="install onnx and onnxruntime"):
        proving.prove(load_model(make_model()), Path("here"))


def test_operators_are_those_of_the_standard() -> None:
    from onnx import defs

    known = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}
    assert known >= trial.OPERATORS and not {"Loop", "If", "Scan", "SequenceMap", "ImageDecoder"} & trial.OPERATORS
