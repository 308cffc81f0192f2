"""Which provider is taken, and what follows when it is lost. The accelerators stand in for what is not here: real
graphs in ONNX Runtime under another name, slower, wrong, or failing on demand."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from policies.runtime.test_session import FEEDS, doubling

from armtune_policies.runtime import providers, worker_session
from armtune_policies.runtime.ort_session import OrtSession, is_accelerated
from armtune_policies.runtime.providers import CPU, HALF_GAP, TENSORRT, Guarded, Hardware, open_quickest
from armtune_policies.runtime.session import Arrays, Session
from armtune_policies.runtime.worker_session import WorkerSession
from armtune_policies.store.manifest import ModelError, SessionLost

pytestmark = pytest.mark.alone  # the quickest is found by milliseconds of real time
CUDA = "CUDAExecutionProvider"
RIGHT = [[2.0, -6.0]]


class Accelerator(OrtSession):
    """``takes_s`` more than here, ``off`` by so much, and gone once ``is_lost``."""

    def __init__(self, graph: bytes, provider: str, takes_s: float = 0.0, off: float = 0.0) -> None:
        super().__init__(graph, (CPU,))
        self.provider, self.takes_s, self.off, self.is_lost, self.is_open = provider, takes_s, off, False, True

    def run(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        if self.is_lost:
            raise ModelError("CUDA failure 700: an illegal memory access was encountered")
        time.sleep(self.takes_s)  # the work of a slow processor
        outputs = super().run(feeds)
        return {**outputs, "y": outputs["y"] + np.float32(self.off)}

    def close(self) -> None:
        self.is_open = False
        super().close()


class Machine:
    """What is plugged in: arguments of ``Accelerator`` by the name asked for; the first that is here is opened."""

    def __init__(self, **here: dict[str, float]) -> None:
        names = {"cuda": CUDA, "tensorrt": TENSORRT, "half": f"{TENSORRT}:half", "cpu": CPU}
        self.here = {names[name]: how for name, how in here.items()}
        self.opened: list[Accelerator] = []

    def open_on(self, graph: bytes, asked: tuple[str, ...]) -> Session:
        name = next(name for name in (*asked, CPU) if name in {CPU, *self.here})
        self.opened.append(Accelerator(graph, name.partition(":")[0], **self.here.get(name, {})))
        return self.opened[-1]

    def quickest(self, **hardware: Any) -> Session:
        return open_quickest(doubling(), Hardware(**hardware), self.open_on)


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ({"cpu": {}}, CPU),
        ({"cpu": {"takes_s": 0.004}, "cuda": {}}, CUDA),
        ({"cpu": {}, "cuda": {"takes_s": 0.004}}, CPU),
        ({"cpu": {"takes_s": 0.006}, "cuda": {}, "tensorrt": {"takes_s": 0.003}}, CUDA),
        ({"cpu": {"takes_s": 0.006}, "cuda": {"takes_s": 0.003}, "tensorrt": {}}, TENSORRT),
        ({"cpu": {"takes_s": 0.006}, "cuda": {"takes_s": 0.003}, "tensorrt": {"off": 0.01}}, CUDA),
        ({"cpu": {"takes_s": 0.004}, "cuda": {"off": float("nan")}}, CPU),
    ],
)
def test_the_quickest_provider_that_is_right_is_taken_and_the_others_let_go(
    here: dict[str, dict[str, float]], expected: str
) -> None:
    machine = Machine(**here)
    session = machine.quickest(patience_s=0.0)
    assert session.provider == expected and session.run(FEEDS)["y"].tolist() == RIGHT
    assert [one.provider for one in machine.opened if one.is_open] == [expected]
    session.close()
    assert not any(one.is_open for one in machine.opened)


def test_nothing_is_tried_twice_where_there_is_only_the_cpu() -> None:
    machine = Machine()
    machine.quickest()
    assert len(machine.opened) == 1


@pytest.mark.parametrize(("asked", "off", "gap"), [(False, 0.001, 0.0), (True, 0.001, HALF_GAP), (True, 0.1, 0.0)])
def test_half_precision_is_taken_when_asked_for_and_close_enough(asked: bool, off: float, gap: float) -> None:
    slow = {"takes_s": 0.003}
    machine = Machine(cpu={"takes_s": 0.006}, tensorrt=slow, half={"off": off})
    session = machine.quickest(half=asked)
    assert session.provider == TENSORRT and session.gap == gap


@pytest.mark.parametrize(("off", "gap"), [(0.0002, HALF_GAP), (0.001, 0.0)])
def test_half_precision_is_a_share_of_small_answers_too(off: float, gap: float) -> None:
    """A proposal is a few centimetres: 0.01 of one would be no small difference."""
    machine = Machine(cpu={"takes_s": 0.006}, tensorrt={"takes_s": 0.003}, half={"off": off})
    session = open_quickest(doubling(factor=0.2), Hardware(half=True, patience_s=0.0), machine.open_on)
    assert session.gap == gap


@pytest.mark.parametrize("kind", (TensorProto.FLOAT16, TensorProto.INT8))
def test_a_graph_of_few_bits_may_round_otherwise_on_another_processor(kind: int) -> None:
    model = onnx.load_from_string(doubling())
    model.graph.initializer.append(helper.make_tensor("unused", kind, [1], [1]))
    machine = Machine(cpu={"takes_s": 0.004}, cuda={"off": 0.001})
    session = open_quickest(model.SerializeToString(), Hardware(patience_s=0.0), machine.open_on)
    assert session.provider == CUDA and session.gap == HALF_GAP


@pytest.mark.fault("F27")
def test_the_cpu_answers_for_a_lost_provider_when_it_is_quick_enough() -> None:
    machine = Machine(cpu={"takes_s": 0.002}, cuda={})
    session = machine.quickest(patience_s=0.5)
    machine.opened[0].is_lost = True
    assert session.run(FEEDS)["y"].tolist() == RIGHT
    assert session.provider == f"{CPU}, {CUDA} was lost" and not machine.opened[0].is_open
    assert session.run(FEEDS)["y"].tolist() == RIGHT
    with pytest.raises(ModelError, match="refused its inputs"):
        session.run({"x": FEEDS["x"]})


@pytest.mark.fault("F27")
def test_nobody_answers_for_a_lost_provider_when_the_cpu_is_too_slow() -> None:
    machine = Machine(cpu={"takes_s": 0.02}, cuda={})
    session = machine.quickest(patience_s=0.005)
    machine.opened[0].is_lost = True
    with pytest.raises(ModelError, match=r"CUDAExecutionProvider failed: CUDA failure 700.*the CPU takes 2\d ms, too"):
        session.run(FEEDS)
    machine.opened[0].is_lost = False  # out of memory passes
    assert session.run(FEEDS)["y"].tolist() == RIGHT and session.provider == CUDA


def test_wrong_inputs_lose_no_provider() -> None:
    machine = Machine(cpu={"takes_s": 0.002}, cuda={})
    session = machine.quickest(patience_s=0.5)
    with pytest.raises(ModelError, match="refused its inputs"):
        session.run({"x": FEEDS["x"]})
    assert session.provider == CUDA and session.run(FEEDS)["y"].tolist() == RIGHT


class Child(WorkerSession):
    """Says that it runs on the GPU of the runtime that was asked; the real one of this test has none."""

    processes: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, graph: bytes, where: str, asked: tuple[str, ...]) -> None:
        super().__init__(graph, where, asked, run_timeout_s=0.5)
        assert self._process is not None
        self.provider = asked[0]
        Child.processes.append(self._process)


class Slow(OrtSession):
    """So that the child is the quicker one."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        time.sleep(0.02)
        return super().run(feeds)


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])


@pytest.mark.fault("F26", "F27")
@pytest.mark.usefixtures("built_in")
def test_driver_that_hangs_takes_a_child_along_and_the_cpu_answers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "WorkerSession", Child)
    monkeypatch.setattr(providers, "OrtSession", Slow)
    session = Hardware((CUDA, CPU), patience_s=0.5).open_session(doubling())
    assert session.provider == CUDA and session.run(FEEDS)["y"].tolist() == RIGHT
    (process,) = Child.processes
    process.send_signal(signal.SIGSTOP)
    assert session.run(FEEDS)["y"].tolist() == RIGHT and session.provider == f"{CPU}, {CUDA} was lost"
    assert process.poll() == -signal.SIGKILL


@pytest.mark.usefixtures("built_in")
def test_cpu_runs_here_where_an_accelerator_is_built_in_and_not_plugged_in() -> None:
    session = Hardware((CUDA, CPU)).open_session(doubling())
    assert isinstance(session, OrtSession) and session.provider == CPU


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((CPU,), False), ((CUDA, CPU), True), ((f"{CUDA}:half", CPU), True), ((TENSORRT, CPU), False)],
)
@pytest.mark.usefixtures("built_in")
def test_accelerator_is_one_that_is_asked_for_and_built_in(asked: tuple[str, ...], expected: bool) -> None:
    assert is_accelerated(asked) is expected


@pytest.mark.fault("F26")
def test_worker_that_nothing_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_session, "CLOSE_S", 0.05)
    session = WorkerSession(doubling())
    process = session._process
    assert process is not None
    with monkeypatch.context() as deaf:
        deaf.setattr(process, "kill", lambda: None)
        process.send_signal(signal.SIGSTOP)
        session.close()
    assert process.poll() is None
    session.close()
    process.kill()
    assert process.wait(timeout=5.0) == -signal.SIGKILL


def test_a_session_in_a_worker_that_is_gone_says_that_it_does_not_come_back() -> None:
    child = Hardware(where=sys.executable).open_session(doubling())
    assert isinstance(child, WorkerSession) and child.run(FEEDS)["y"].tolist() == RIGHT
    child.close()
    with pytest.raises(SessionLost):
        Guarded(child, None, 1.0).run(FEEDS)
