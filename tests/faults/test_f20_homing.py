"""F20: the way home passes the same gate, under the same limits."""

from __future__ import annotations

import pytest
from casebook import Case
from rig import FaultStack

from armtune_policies.contract import Kind

pytestmark = [pytest.mark.slow, pytest.mark.fault("F20")]


def test_homing_is_proposed_judged_and_limited_like_any_source(graph: FaultStack, case: Case) -> None:
    case.by("every way home of this run")
    homed = graph.decisions.first(graph.episodes.heard[-1][0], lambda d: d.source == "motion", 60.0)
    assert homed[1].kind == Kind.JOINT_TARGET and homed[1].limited_by, "the home pose is far, so the way is limited"
    graph.moving()
    ways = [at_ns for at_ns, d in graph.decisions.since(0) if d.source == "motion"]
    case.nothing("limits broken on a way home", graph.witness.violations(ways[-1] - 10**9))
    unarmed = [d for _, d in graph.decisions.since(0) if d.source == "motion" and not d.lease]
    case.nothing("bypasses the gate's lease", unarmed)
