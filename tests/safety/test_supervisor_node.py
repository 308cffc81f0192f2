"""The supervisor beside a real gate and two small nodes, as processes."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from casebook import Case
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from gate_rig import gate_params

from armtune_interfaces.msg import GateState
from armtune_interfaces.srv import Arm, ClearLatch
from armtune_policies.contract import flatten, topics
from armtune_safety.managed_node import LATCHED_QOS
from armtune_safety.settings import SupervisorParams
from harness import Stack

WORKER = """
import sys
from rclpy.duration import Duration
from armtune_safety.managed_node import ManagedNode, run

class Worker(ManagedNode):
    def start(self):
        self.did_work()

class Ahead:
    def __init__(self, clock):
        self.clock = clock
    def now(self):
        return self.clock.now() + Duration(seconds=0.3)
    def __getattr__(self, name):
        return getattr(self.clock, name)

class Elsewhere(Worker):
    def get_clock(self):
        return Ahead(super().get_clock())

if __name__ == "__main__":
    run(lambda: (Elsewhere if sys.argv[0].endswith("elsewhere.py") else Worker)("worker"))
"""
NODES = ("gate_node", "worker", "learner_node")


class Graph:
    """Three managed nodes and their supervisor."""

    def __init__(self, stack: Stack, restarts: int = 3, worker: str = "worker", **params: object) -> None:
        self.stack = stack
        told = gate_params("real", restarts=restarts)
        stack.start("armtune_safety.gate_node", "gate_node", told)
        for name, module in (("worker", worker), ("learner_node", "worker")):
            stack.start(module, name)
        supervisor = SupervisorParams(nodes=NODES, safety=told.safety, **params)
        stack.start("armtune_safety.supervisor_node", "supervisor_node", flatten(supervisor))
        self.summaries = stack.listen(topics.SUPERVISOR, DiagnosticArray, LATCHED_QOS)
        self.gate = stack.listen(topics.GATE_STATE, GateState, LATCHED_QOS)

    def until(self, node: str, phase: str, restarts: int = 0) -> None:
        def fits() -> bool:
            found = {s.name: s for s in self.summaries[-1].status}.get(node) if self.summaries else None
            return bool(found) and found.message.split(":")[0] == phase and int(found.values[0].value) >= restarts

        self.stack.until(fits, what=f"{node} {phase}")

    def until_all_active(self) -> None:
        for node in NODES:
            self.until(node, "active")

    def is_stopped(self) -> bool:
        return bool(self.gate) and "stop requested" in self.gate[-1].latches


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "elsewhere.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


def test_arm_stops_and_the_node_comes_back_when_it_is_killed(stack: Stack) -> None:
    graph = Graph(stack)
    graph.until_all_active()
    assert not graph.is_stopped()
    stack.stop("worker", signal.SIGKILL)
    stack.until(graph.is_stopped, timeout_s=3.0, what="gate stopped")
    stack.start("worker", "worker")
    graph.until("worker", "active", restarts=1)
    assert "worker: silent" in stack.log("supervisor_node")


@pytest.mark.fault("F29")
def test_arm_is_left_alone_when_the_learner_is_lost(stack: Stack) -> None:
    graph = Graph(stack)
    graph.until_all_active()
    stack.stop("learner_node", signal.SIGKILL)
    graph.until("learner_node", "lost")
    assert not graph.is_stopped()


def test_node_is_given_up_when_its_restarts_are_spent(stack: Stack) -> None:
    graph = Graph(stack, restarts=0)
    graph.until_all_active()
    stack.stop("worker", signal.SIGKILL)
    graph.until("worker", "given up")
    stack.until(graph.is_stopped, what="gate stopped")
    assert "given up: lost 1 times in 60 s" in {s.name: s for s in graph.summaries[-1].status}["worker"].message
    seen = len(graph.gate)
    assert stack.call(ClearLatch, topics.CLEAR, ClearLatch.Request(name="stop requested")).cleared
    stack.until(lambda: len(graph.gate) > seen and graph.is_stopped(), timeout_s=5.0, what="gate stopped again")


def test_hung_node_counts_as_lost_when_its_process_is_stopped(stack: Stack) -> None:
    graph = Graph(stack)
    graph.until_all_active()
    process = stack.processes["worker"]
    process.send_signal(signal.SIGSTOP)
    try:
        graph.until("worker", "lost")
        stack.until(graph.is_stopped, what="gate stopped")
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.fault("F33", "F39", "L11")
def test_arming_is_refused_for_a_full_disk_and_a_clock_that_is_off(stack: Stack, tmp_path: Path, case: Case) -> None:
    case.by("a floor above what any disk has; a node whose clock is 300 ms ahead")
    graph = Graph(stack, worker="elsewhere", run_folder=str(tmp_path), disk_floor_mb=10_000_000)
    said = stack.wait_for(topics.HEALTH, DiagnosticArray, lambda m: len(bad(m)) == 2, qos=LATCHED_QOS)
    assert set(bad(said)) == {"disk", "clock of worker"}
    assert re.match(r"\+(29\d|30\d) ms off ours", bad(said)["clock of worker"])
    graph.until_all_active()
    answer = stack.call(Arm, topics.ARM, Arm.Request(boot_id=graph.gate[-1].boot_id))
    case.nothing("armed with a clock off or the disk full", answer.accepted)
    assert "disk" in answer.reason and "clock of worker" in answer.reason
    assert "clock of worker: +" in stack.log("supervisor_node")


def bad(m: DiagnosticArray) -> dict[str, str]:
    return {s.name: s.message for s in m.status if s.level == DiagnosticStatus.ERROR}
