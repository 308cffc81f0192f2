"""F19: a proposal in other units, or for another rate or robot."""

from __future__ import annotations

import pytest
from casebook import Case
from hand import Hand, swing
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

from armtune_policies.contract import ActionSpec

pytestmark = [pytest.mark.slow, pytest.mark.fault("F19")]


def test_arm_holds_when_the_policy_follows_another_spec(graph: FaultStack, case: Case) -> None:
    case.by("policy.wrong_spec")
    with graph.fault("policy.wrong_spec") as since_ns:
        holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
        no_action(graph, case, still_ns(since_ns, PERIOD_MS), "reinterprets by position")
    goes_on_by_itself(graph, case)


def test_proposal_is_refused_when_it_is_meant_for_another_rate(graph: FaultStack, case: Case) -> None:
    case.by("a source for 10 Hz, then one with a number too few")
    wrong = {3: (swing(3), {"spec_digest": ActionSpec(rate_hz=10.0).digest}), 5: ([0.0] * 6, {})}
    with Hand(graph, lambda step: [wrong.get(step, (swing(step), {}))]) as hand:
        said = {d.step: d for d in hand.does(7)}
    assert "expected action spec" in said[3].refused and said[5].refused
    case.nothing("reinterprets by position", said[3].source or said[5].source)
