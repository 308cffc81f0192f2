"""F06: a joint missing; another order."""

from __future__ import annotations

import time

import pytest
from casebook import Case
from promises import TICK_MS, WATCH_S, stays_down, stops
from rig import FaultStack

from armtune_policies.contract import Mode

AGE_MS = 100.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F06")]


def test_arm_stops_when_a_joint_is_missing(graph: FaultStack, case: Case) -> None:
    case.by("joints.drop_name")
    before = graph.refusals().get("joint_states:unusable", 0)
    with graph.fault("joints.drop_name") as since_ns:
        stops(graph, case, since_ns, "joint states", AGE_MS + TICK_MS)
    graph.wait(lambda: graph.refusals().get("joint_states:unusable", 0) >= before + 3, "three refused", 2.0)
    case.nothing("filled with 0.0", graph.log.moved_rad(since_ns, time.monotonic_ns()) > 0.2)
    stays_down(graph, case)


def test_arm_goes_on_when_joints_come_in_another_order(graph: FaultStack, case: Case) -> None:
    case.by("joints.shuffle (which must work)")
    with graph.fault("joints.shuffle") as since_ns:
        graph.stays(since_ns, WATCH_S)
        stopped = [m for _, m in graph.gate.since(since_ns) if m.mode == Mode.STOP]
        case.needless("stopped by another order", stopped)
        assert graph.log.moved_rad(since_ns, time.monotonic_ns()) > 0.05
