"""The same tests on both adapters of the Session port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from armtune_policies.runtime import worker
from armtune_policies.runtime.alone import alone
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.session import OpenSession, Port, check_ports
from armtune_policies.runtime.worker_session import WorkerSession
from armtune_policies.store.manifest import ModelError, SessionLost
from fixtures.tiny_models import reward_bytes


def doubling(external: bool = False, factor: float = 2.0) -> bytes:
    """``y = factor x`` over (n, 2), and ``b``, bytes passed on as int64."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    b = helper.make_tensor_value_info("b", TensorProto.UINT8, [3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    c = helper.make_tensor_value_info("c", TensorProto.INT64, [3])
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], [factor])
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


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of one worker for all."""
    with listener(tmp_path_factory.mktemp("run") / "inference.sock") as (path, _):
        yield path


@contextmanager
def listener(path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = alone(sys.executable, worker.__file__, "--listen", str(path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline().startswith("serving ")
            yield str(path), process
        finally:
            process.kill()


@pytest.fixture(params=["in process", "bound", "worker", "listening worker"])
def open_session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenSession]:
    """``bound``: through ONNX Runtime's own IO binding, with the CPU's memory for an accelerator's."""
    opened = []
    if request.param == "bound":
        monkeypatch.setitem(worker.DEVICES, "CPUExecutionProvider", "cpu")

    def make(graph: bytes) -> OrtSession | WorkerSession:
        if request.param in ("in process", "bound"):
            opened.append(OrtSession(graph))
        elif request.param == "worker":
            opened.append(WorkerSession(graph))
        else:
            opened.append(WorkerSession(graph, request.getfixturevalue("listening")))
        return opened[-1]

    yield make
    for session in opened:
        session.close()


def test_outputs_come_back_by_name(open_session: OpenSession) -> None:
    session = open_session(doubling())
    outputs = session.run(FEEDS)
    assert outputs["y"].dtype == np.float32 and outputs["y"].tolist() == [[2.0, -6.0]]
    assert outputs["c"].dtype == np.int64 and outputs["c"].tolist() == [1, 2, 255]
    assert session.run({**FEEDS, "x": np.zeros((5, 2), np.float32)})["y"].shape == (5, 2)


def test_outputs_stay_as_they_were_and_inputs_are_left_alone_when_others_follow(open_session: OpenSession) -> None:
    session, feeds = open_session(doubling()), {name: value.copy() for name, value in FEEDS.items()}
    first = session.run(feeds)
    wide = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert session.run({**feeds, "x": wide[:1, ::3]})["y"].tolist() == [[0.0, 6.0]], "rows with gaps between"
    assert session.run({**feeds, "x": wide[:, ::3]})["y"].tolist() == [[0.0, 6.0], [12.0, 18.0]]
    assert session.run(feeds)["y"].tolist() == first["y"].tolist() == [[2.0, -6.0]]
    assert all(np.array_equal(feeds[name], FEEDS[name]) for name in FEEDS)


def test_memory_is_bound_once_for_inputs_of_one_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.DEVICES, "CPUExecutionProvider", "cpu")
    session = OrtSession(doubling())
    assert isinstance(session._run, worker.Bound)
    bound = [
        (session.run(feeds), session._run._binding)[1]
        for feeds in (FEEDS, FEEDS, {**FEEDS, "x": np.ones((2, 2), np.float32)})
    ]
    assert bound[0] is bound[1] is not bound[2]


def test_only_accelerators_are_bound() -> None:
    assert not isinstance(OrtSession(doubling())._run, worker.Bound)
    assert worker.DEVICES.keys() == set(worker.PROVIDERS) - {"CPUExecutionProvider"}


def test_a_gpu_answers_as_the_cpu_does_from_bound_memory() -> None:
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("no GPU runtime here: make build ONNXRUNTIME=gpu, on a machine with a GPU")
    session = OrtSession(doubling(), ("CUDAExecutionProvider",))
    if session.provider != "CUDAExecutionProvider":
        pytest.skip(f"no GPU here: got {session.provider}")
    for _ in range(2):
        assert session.run(FEEDS)["y"].tolist() == [[2.0, -6.0]]
    assert isinstance(session._run, worker.Bound)


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


@pytest.mark.fault("F22")
@pytest.mark.parametrize("graph", [b"", b"junk", doubling()[:-20], doubling(external=True)])
def test_bytes_are_refused_when_they_are_no_whole_graph(open_session: OpenSession, graph: bytes) -> None:
    with pytest.raises(ModelError, match="not a graph") as caught:
        open_session(graph)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("F23")
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


@pytest.mark.fault("F26")
def test_a_worker_that_died_is_told_in_one_sentence() -> None:
    session = WorkerSession(doubling())
    os.kill(session._process.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="inference worker could not answer"):
        session.run(FEEDS)


@pytest.mark.fault("F26")
def test_a_worker_that_hangs_is_ended_after_the_bound() -> None:
    session = WorkerSession(doubling(), run_timeout_s=0.2)
    session.run(FEEDS)
    os.kill(session._process.pid, signal.SIGSTOP)
    with pytest.raises(ModelError, match=r"did not answer within 0\.2 s"):
        session.run(FEEDS)
    assert session._process.wait(timeout=5.0) is not None


def test_one_worker_serves_policy_and_reward_and_one_that_ends_leaves_the_other_alone(listening: str) -> None:
    policy, reward = WorkerSession(doubling(), listening), WorkerSession(reward_bytes(), listening)
    assert policy.run(FEEDS)["y"].tolist() == [[2.0, -6.0]]
    policy.close()
    size = reward.inputs[0].shape[1:]
    asked = {"image.front": np.zeros((1, *size), np.uint8), "sentence": np.zeros((1, 384), np.float32)}
    assert 0.0 <= reward.run(asked)["probability"][0] <= 1.0
    reward.close()


def test_a_worker_that_listens_ends_when_a_model_hangs_and_the_next_one_serves(tmp_path: Path) -> None:
    path = tmp_path / "inference.sock"
    with listener(path) as (where, process):
        hung = WorkerSession(reward_bytes(loops=30_000_000), where, start_timeout_s=1.0)
        size = hung.inputs[0].shape[1:]
        asked = {"image.front": np.full((1, *size), 255, np.uint8), "sentence": np.zeros((1, 384), np.float32)}
        with pytest.raises(SessionLost, match="did not answer within 1 s"):
            hung.run(asked)
        assert process.wait(timeout=5.0) == 1
        with pytest.raises(ModelError, match="no inference worker listens"):
            WorkerSession(doubling(), where)
    with listener(path) as (where, _):
        again = WorkerSession(doubling(), where)
        assert again.run(FEEDS)["y"].tolist() == [[2.0, -6.0]]
        again.close()


def test_a_sentence_names_the_python_when_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot start the inference worker .*nowhere"):
        WorkerSession(doubling(), where=str(tmp_path / "nowhere"))


def test_a_sentence_says_so_when_the_other_python_has_no_runtime(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'raise SystemExit(1)'\n")
    bare.chmod(0o755)
    with pytest.raises(ModelError, match="inference worker could not load the graph"):
        WorkerSession(doubling(), where=str(bare))
