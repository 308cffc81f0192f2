"""F10: a proposal that is not a number."""

from __future__ import annotations

import math

import pytest
from casebook import Case
from hand import REST, Hand, swing
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

BAD = (math.nan, math.inf, -math.inf)

pytestmark = [pytest.mark.slow, pytest.mark.fault("F10")]


def test_arm_holds_when_the_policy_says_nan(graph: FaultStack, case: Case) -> None:
    case.by("policy.nan")
    before = graph.refusals().get("policy:unreadable", 0)
    with graph.fault("policy.nan") as since_ns:
        holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
        no_action(graph, case, still_ns(since_ns, PERIOD_MS), "clamps NaN, or sends half a frame")
    goes_on_by_itself(graph, case)
    assert graph.refusals()["policy:unreadable"] > before


def test_each_bad_number_is_refused_whole_and_the_next_good_one_taken(graph: FaultStack, case: Case) -> None:
    case.by("a source with NaN and both infinities in each of 7 places, each before a good proposal")
    bad = [[*REST[:i], number, *REST[i + 1 :]] for number in BAD for i in range(7)]
    before = graph.refusals().get("teleop:unreadable", 0)

    def refused() -> int:
        return graph.refusals().get("teleop:unreadable", 0) - before

    # The next one once the last was refused: a busy gate reads only the newest of what came.
    with Hand(graph, lambda step: [*((b, {}) for b in bad[refused() :][:1]), (swing(step), {})]) as hand:
        hand.does(8)
        graph.wait(lambda: refused() >= len(bad), "every bad one refused")
        said = hand.decisions()
    assert all(d.source == "teleop" for d in said), "the good one after them is taken"
    wrong = [d for d in said if not all(map(math.isfinite, (*d.allowed, *d.proposed)))]
    case.nothing("a number that is not finite commanded", wrong)
