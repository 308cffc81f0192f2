"""The supervisor beside a real gate and two small nodes, as processes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from gate_rig import gate_params

from armtune_interfaces.msg import GateState
from armtune_interfaces.srv import ClearLatch
from armtune_policies.contract import flatten, topics
from armtune_safety.managed_node import LATCHED_QOS
from armtune_safety.settings import SupervisorParams
from harness import Stack

WORKER = """
import sys
from armtune_safety.managed_node import ManagedNode, run

class Worker(ManagedNode):
    def start(self):
        self.did_work()

run(lambda: Worker("worker"))
"""
NODES = ("gate_node", "worker", "learner_node")


class Graph:
    """Three managed nodes and their supervisor."""

    def __init__(self, stack: Stack, restarts: int = 3) -> None:
        self.stack = stack
        params = gate_params("real", restarts=restarts)
        stack.start("armtune_safety.gate_node", "gate_node", params)
        for name in NODES[1:]:
            stack.start("worker", name)
        supervisor = SupervisorParams(nodes=NODES, safety=params.safety)
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
