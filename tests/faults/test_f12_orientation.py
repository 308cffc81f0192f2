"""F12: proposals that turn the tool too far."""

from __future__ import annotations

import math

import pytest
from casebook import Case
from hand import Hand
from rig import FaultStack

TURN = [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 1.0]
NEAR_PI = [0.0, 0.0, 0.0, 0.0, 0.0, math.pi - 1e-9, 1.0]

pytestmark = [pytest.mark.slow, pytest.mark.fault("F12")]


def test_tool_is_kept_in_its_cone_when_turned_further_and_further(graph: FaultStack, case: Case) -> None:
    case.by("a source that turns the tool about x for 4 s; one turn of almost pi")
    limit_rad = graph.config.safety.tool_max_angle_rad + graph.config.safety.workspace_slack_rad
    with Hand(graph, lambda step: [(NEAR_PI if step == 2 else TURN, {})]) as hand:
        almost_pi = hand.decided(lambda d: d.step == 2)
        assert almost_pi.limited_by and 0.0 <= almost_pi.allowed[5] <= 0.44, "the same sense, shorter"
        hand.decided(lambda d: "tool orientation" in d.limited_by, timeout_s=8.0)
        since_ns = hand.began_ns
        hand.does(3)
        furthest_rad = graph.witness.tool_angle_rad(since_ns).max()
    case.nothing("outside the cone", furthest_rad > limit_rad + 0.05)
    case.nothing("a rotation vector negated", almost_pi.allowed[5] < -1e-9)
