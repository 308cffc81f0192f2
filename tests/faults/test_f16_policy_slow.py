"""F16: the policy is late, or silent."""

from __future__ import annotations

import pytest
from casebook import Case
from promises import PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds
from rig import FaultStack

pytestmark = [pytest.mark.slow, pytest.mark.fault("F16")]


@pytest.mark.parametrize(("fault", "value"), (("policy.slow", 1.0), ("policy.stall", 0.0)))
def test_arm_holds_when_proposals_are_late(graph: FaultStack, case: Case, fault: str, value: float) -> None:
    case.by(fault)
    with graph.fault(fault, value) as since_ns:
        rested_ns = holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
        case.nothing("repeats the last velocity", graph.log.moved_rad(rested_ns, rested_ns + 300_000_000) > 0.01)
        graph.stays(rested_ns, 0.4)
        acted = [d for _, d in graph.decisions.since(rested_ns) if d.source]
        case.nothing("acts on a late proposal", acted)
    goes_on_by_itself(graph, case)
