"""F17: proposals repeated, out of order, from the future or the past."""

from __future__ import annotations

import pytest
from casebook import Case
from hand import Answer, Hand, swing
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

from armtune_safety.managed_node import to_ns, to_stamp

SIDEWAYS = [0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]

pytestmark = [pytest.mark.slow, pytest.mark.fault("F17")]


def test_each_wrong_sequence_step_or_stamp_is_refused(graph: FaultStack, case: Case) -> None:
    case.by("a source with old sequence numbers, other steps, leases and episodes, stamps 10 s off")

    def answer(step: int) -> list[Answer]:
        off = [to_stamp(to_ns(hand.stamp) + s * 10**9) for s in (-10, 10)]
        wrong = [{"seq": 0}, {"step": step + 1}, {"step": max(0, step - 1)}, {"lease": 1}, {"episode_id": "another"}]
        wrong += [{"observation_stamp": stamp} for stamp in off]
        return [*((SIDEWAYS, changes) for changes in wrong[step % 4 :: 4] if step), (swing(step), {})]

    hand = Hand(graph, answer)
    with hand:
        said = hand.does(9)
    # A busy machine may have let step 0 pass before the lease was known here: nothing was proposed for it.
    answered = [d for d in said if d.step >= min(hand.sent_ns)]
    case.nothing("a wrong one taken", [d.step for d in answered if list(d.proposed) != swing(d.step)])
    assert all(not d.proposed for d in said[: len(said) - len(answered)]) and len(answered) >= len(said) - 1
    refused = graph.refusals()
    assert all(refused.get(f"teleop:{why}", 0) > 0 for why in ("sequence", "not now", "stamp")), refused


@pytest.mark.parametrize("fault", ("policy.repeat", "policy.reorder"))
def test_no_proposal_is_acted_on_twice_when_old_ones_come_again(graph: FaultStack, case: Case, fault: str) -> None:
    case.by(fault)
    with graph.fault(fault) as since_ns:
        graph.stays(since_ns, 1.5)
        said = [d for _, d in graph.decisions.since(since_ns) if d.source == "policy"]
    case.nothing("one proposal acted on twice", len(said) != len({(d.lease, d.seq) for d in said}))


def test_arm_holds_when_proposals_come_from_the_future(graph: FaultStack, case: Case) -> None:
    case.by("policy.future")
    with graph.fault("policy.future") as since_ns:
        holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
        no_action(graph, case, still_ns(since_ns, PERIOD_MS), "never stale")
    goes_on_by_itself(graph, case)
