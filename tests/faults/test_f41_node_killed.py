"""F41: kill -9 of each node, in each phase of practice."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from layers import LOST_MS, arm_rests, attended_cases, cases, device_dies, phases
from rig import SHORT, FaultStack
from stage import Stage

from fixtures.up import gone

pytestmark = [pytest.mark.slow, pytest.mark.fault("F41")]


@pytest.mark.parametrize(("node", "phase"), cases())
def test_arm_rests_when_a_node_is_killed(cycling: FaultStack, case: Case, node: str, phase: str) -> None:
    case.by("kill -9 of each node in each phase")
    arm_rests(cycling, case, node, phase, signal.SIGKILL)


@pytest.mark.parametrize(("node", "phase"), attended_cases())
def test_arm_rests_when_device_or_console_is_killed(attended: FaultStack, case: Case, node: str, phase: str) -> None:
    arm_rests(attended, case, node, phase, signal.SIGKILL)


@pytest.mark.every_phase
def test_arm_rests_when_the_device_is_killed_that_holds_it(attended: FaultStack, case: Case) -> None:
    case.by("kill -9 of the operator's device in mid-motion")
    device_dies(attended, case, signal.SIGKILL)


@pytest.mark.parametrize("phase", phases("acting"))
def test_graph_ends_with_the_arm_at_rest_when_its_supervisor_is_killed(stage: Stage, case: Case, phase: str) -> None:
    case.by("kill -9 of the supervisor")
    graph = stage.fresh(*SHORT)
    graph.recover()
    graph.reach(phase)
    nodes = graph.up.nodes()
    since_ns = graph.signal("supervisor_node", signal.SIGKILL)
    assert graph.up.ends(timeout_s=15.0) != 0
    case.within("at rest without a supervisor", graph.log.last_motion_ns(since_ns) - since_ns, LOST_MS)
    case.nothing("a node left behind", [name for name, pid in nodes.items() if not gone(pid)])
    assert "supervisor_node ended by SIGKILL" in graph.up.said
