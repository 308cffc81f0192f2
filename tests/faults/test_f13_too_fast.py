"""F13: proposals that are too fast, or change too abruptly."""

from __future__ import annotations

import pytest
from casebook import Case
from hand import Answer, Hand
from rig import FaultStack

pytestmark = [pytest.mark.slow, pytest.mark.fault("F13")]

LEAP = 0.5


def test_motion_keeps_its_limits_when_a_source_leaps_to_and_fro(graph: FaultStack, case: Case) -> None:
    case.by("policy.huge; a source that leaps 0.5 m to and fro, with a gap")

    def leaps(step: int) -> list[Answer]:
        leap = [0.0, LEAP if step % 2 else -LEAP, 0.0, 0.0, 0.0, 0.0, float(step % 2)]
        return [] if step % 12 == 6 else [(leap, {})]

    with Hand(graph, leaps) as hand:
        said = hand.does(20)
    accepted = [d for d in said if d.source]
    assert len(accepted) >= 12 and all(d.limited_by for d in accepted), "each is taken, and marked as limited"
    longest = max(abs(d.allowed[1]) for d in accepted)
    case.nothing(
        "further than the rate allows in one period", longest > graph.config.safety.max_linear_m_s * 0.2 + 1e-9
    )
    with graph.fault("policy.huge") as since_ns:
        graph.decisions.first(since_ns, lambda d: d.source == "policy" and bool(d.limited_by))
    case.nothing("limits of speed or acceleration broken", graph.witness.violations(hand.began_ns))
