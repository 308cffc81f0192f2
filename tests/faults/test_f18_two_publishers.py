"""F18: a second policy, a second gate."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from casebook import Case
from promises import PERIOD_MS, goes_on_by_itself, no_action, rests, still_ns
from rig import FaultStack

from armtune_interfaces.msg import Proposal
from armtune_policies.contract import Mode, topics
from armtune_safety.managed_node import COMMAND_QOS

LOOK_MS, DISCOVERY_MS = 100.0, 200.0
DOUBLED = "two publishers on one topic"

pytestmark = [pytest.mark.slow, pytest.mark.fault("F18")]


def test_arm_holds_until_one_remains_when_two_publish_proposals(graph: FaultStack, case: Case) -> None:
    case.by("a second publisher on proposal/policy")
    since_ns = time.monotonic_ns()
    second = graph.stack.node.create_publisher(Proposal, graph.full(topics.proposal("policy")), COMMAND_QOS)
    bound_ms = LOOK_MS + DISCOVERY_MS
    case.within("HOLD", graph.says(since_ns, Mode.HOLD, DOUBLED) - since_ns, bound_ms)
    held_ns = rests(graph, case, since_ns, bound_ms)
    graph.stays(held_ns, 0.5)
    no_action(graph, case, still_ns(held_ns, PERIOD_MS), "interleaves two sources")
    graph.stack.node.destroy_publisher(second)
    goes_on_by_itself(graph, case)


def test_arm_stops_when_a_second_gate_is_started(graph: FaultStack, case: Case, tmp_path: Path) -> None:
    case.by("a second gate_node")
    mine, started_ns = graph.gate.last.boot_id, time.monotonic_ns()
    process = graph.twin("gate_node", tmp_path)
    try:
        since_ns = graph.gate.first(started_ns, lambda g: g.boot_id == mine and DOUBLED in g.reasons, 20.0)[0]
        rested_ns = graph.rest_ns(since_ns)
        graph.stays(rested_ns, 0.5)
        case.nothing("moves between two gates", graph.log.moved_rad(rested_ns, time.monotonic_ns()) > 0.01)
    finally:
        process.kill()
        process.wait(timeout=5.0)
