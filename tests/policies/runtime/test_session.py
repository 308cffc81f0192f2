"""The same tests on both adapters of the Session port."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.session import OpenSession, Port, check_ports
from armtune_policies.runtime.worker_session import WorkerSession
from armtune_policies.store.manifest import ModelError


def doubling(external: bool = False) -> bytes:
    """``y = 2 x`` over (n, 2), and ``b``, bytes passed on as int64."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    b = helper.make_tensor_value_info("b", TensorProto.UINT8, [3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    c = helper.make_tensor_value_info("c", TensorProto.INT64, [3])
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])
    if external:
        two.ClearField("float_data")
        two.data_location = TensorProto.EXTERNAL
        two.external_data.add(key="location", value="passwords.bin")
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"]), helper.make_node("Cast", ["b"], ["c"], to=TensorProto.INT64)]
    graph = helper.make_graph(nodes, "g", [x, b], [y, c], [two])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return bytes(model.SerializeToString())


FEEDS = {"x": np.array([[1.0, -3.0]], np.float32), "b": np.array([1, 2, 255], np.uint8)}


@pytest.fixture(params=["in process", "worker"])
def open_session(request: pytest.FixtureRequest) -> Iterator[OpenSession]:
    opened = []

    def make(graph: bytes) -> OrtSession | WorkerSession:
        session = OrtSession(graph) if request.param == "in process" else WorkerSession(graph)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


def test_outputs_come_back_by_name(open_session: OpenSession) -> None:
    session = open_session(doubling())
    outputs = session.run(FEEDS)
    assert outputs["y"].dtype == np.float32 and outputs["y"].tolist() == [[2.0, -6.0]]
    assert outputs["c"].dtype == np.int64 and outputs["c"].tolist() == [1, 2, 255]
    assert session.run({**FEEDS, "x": np.zeros((5, 2), np.float32)})["y"].shape == (5, 2)


def test_ports_say_names_dtypes_and_free_sizes(open_session: OpenSession) -> None:
    session = open_session(doubling())
    assert session.inputs == (Port("x", "float32", (-1, 2)), Port("b", "uint8", (3,)))
    assert session.outputs == (Port("y", "float32", (-1, 2)), Port("c", "int64", (3,)))
    assert session.provider.endswith("ExecutionProvider")
    check_ports(session, (session.inputs, session.outputs), "it")


@pytest.mark.parametrize(
    "feeds",
    [
        {"x": FEEDS["x"]},
        {**FEEDS, "x": np.zeros((1, 3), np.float32)},
        {**FEEDS, "x": np.zeros((1, 2), np.float64)},
        {**FEEDS, "more": FEEDS["x"]},
    ],
)
def test_one_sentence_says_so_when_inputs_do_not_fit_and_the_next_run_works(
    open_session: OpenSession, feeds: dict[str, np.ndarray]
) -> None:
    session = open_session(doubling())
    with pytest.raises(ModelError, match="refused its inputs") as caught:
        session.run(feeds)
    assert "\n" not in str(caught.value)
    assert session.run(FEEDS)["y"].tolist() == [[2.0, -6.0]]


@pytest.mark.parametrize("graph", [b"", b"junk", doubling()[:-20], doubling(external=True)])
def test_bytes_are_refused_when_they_are_no_whole_graph(open_session: OpenSession, graph: bytes) -> None:
    with pytest.raises(ModelError, match="not a graph") as caught:
        open_session(graph)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (((Port("x", "float32", (-1, 2)),), ()), "expected inputs x; got b, x"),
        (((Port("x", "float32", (-1, 3)), Port("b", "uint8", (3,))), ()), r"input x: expected float32 \(-1, 3\)"),
        (((Port("x", "int64", (-1, 2)), Port("b", "uint8", (3,))), ()), "got float32"),
    ],
)
def test_a_graph_is_refused_when_its_ports_differ(
    expected: tuple[tuple[Port, ...], tuple[Port, ...]], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        check_ports(OrtSession(doubling()), expected, "it")


def test_the_weights_of_a_graph_are_found_in_the_file_when_a_name_says_location() -> None:
    model = onnx.load_from_string(doubling())
    model.graph.node[0].name = "location"
    assert OrtSession(model.SerializeToString()).run(FEEDS)["y"].tolist() == [[2.0, -6.0]]


def test_a_worker_that_died_is_told_in_one_sentence() -> None:
    session = WorkerSession(doubling())
    os.kill(session._process.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="inference worker could not answer"):
        session.run(FEEDS)


def test_a_worker_that_hangs_is_ended_after_the_bound() -> None:
    session = WorkerSession(doubling(), run_timeout_s=0.2)
    os.kill(session._process.pid, signal.SIGSTOP)
    with pytest.raises(ModelError, match=r"did not answer within 0\.2 s"):
        session.run(FEEDS)
    assert session._process.wait(timeout=5.0) is not None


def test_a_sentence_names_the_python_when_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot start the inference worker .*nowhere"):
        WorkerSession(doubling(), python=str(tmp_path / "nowhere"))


def test_a_sentence_says_so_when_the_other_python_has_no_runtime(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'raise SystemExit(1)'\n")
    bare.chmod(0o755)
    with pytest.raises(ModelError, match="inference worker could not load the graph"):
        WorkerSession(doubling(), python=str(bare))
