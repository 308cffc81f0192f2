"""F07: a joint value that is not a number; F07b: joint states that stand still while commands move."""

from __future__ import annotations

import math

import pytest
from casebook import Case
from promises import TICK_MS, stays_down, stops
from rig import FaultStack

from armtune_interfaces.msg import Observation
from armtune_policies.contract import topics
from armtune_safety.managed_node import EVENT_QOS

AGE_MS = 100.0
MOVED_MS, FROZEN_MS = 200.0, 200.0
"""What the circling arm takes to be told 50 mrad further; the bound of the row."""

pytestmark = pytest.mark.slow


@pytest.mark.fault("F07")
def test_arm_stops_when_a_joint_is_not_a_number(graph: FaultStack, case: Case) -> None:
    case.by("joints.nan")
    seen = graph.ear(topics.OBSERVATION, Observation, EVENT_QOS)
    with graph.fault("joints.nan") as since_ns:
        stops(graph, case, since_ns, "joint states", AGE_MS + TICK_MS)
    case.nothing(
        "NaN passed on to policy or replay", [m for _, m in seen.since(0) if not all(map(math.isfinite, m.state))]
    )
    allowed = [d.step for _, d in graph.decisions.since(since_ns) if not all(map(math.isfinite, d.allowed))]
    case.nothing("NaN commanded", allowed)
    stays_down(graph, case)


@pytest.mark.fault("F07b")
def test_arm_stops_when_joint_states_are_frozen(graph: FaultStack, case: Case) -> None:
    case.by("joints.freeze")
    with graph.fault("joints.freeze") as since_ns:
        rested_ns = stops(graph, case, since_ns, "joint states frozen", MOVED_MS + FROZEN_MS + TICK_MS)
        case.nothing("the integrator winds up", graph.log.moved_rad(rested_ns, rested_ns + 10**9) > 0.01)
    stays_down(graph, case)
