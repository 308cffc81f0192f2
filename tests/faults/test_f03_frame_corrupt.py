"""F03: frames of another size or encoding, cut short, or all black."""

from __future__ import annotations

import pytest
from casebook import SLACK_MS, Case
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

FRAME_MS = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F03")]


@pytest.mark.parametrize("fault", ("camera.corrupt", "camera.black"))
def test_frames_are_dropped_and_the_arm_holds_when_they_are_damaged(graph: FaultStack, case: Case, fault: str) -> None:
    case.by(fault)
    policy = graph.up.node("policy_node")
    with graph.fault(fault) as since_ns:
        holds(graph, case, since_ns, STALE, FRAME_MS + PROPOSAL_MS + TICK_MS)
        no_action(graph, case, still_ns(since_ns, FRAME_MS + PERIOD_MS + SLACK_MS), "acts on a damaged frame")
    goes_on_by_itself(graph, case)
    case.nothing("crash of the node that decodes", graph.up.node("policy_node") != policy)
