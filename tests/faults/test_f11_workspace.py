"""F11: proposals that lead out of the workspace."""

from __future__ import annotations

import numpy as np
import pytest
from casebook import Case
from hand import Hand
from rig import FaultStack

from armtune_policies.contract import Mode

DOWN = [0.0, 0.003, -0.04, 0.0, 0.0, 0.0, 1.0]
UP = [0.0, 0.0, 0.04, 0.0, 0.0, 0.0, 1.0]
SAG_M = 0.02
"""How far the measured tool may be below its setpoint: an arm hangs a little."""

pytestmark = [pytest.mark.slow, pytest.mark.fault("F11")]


def test_tool_slides_along_the_face_then_holds_when_pushed_out(graph: FaultStack, case: Case) -> None:
    case.by("a source that pushes down and sideways for 4 s, then up")
    safety = graph.config.safety
    with Hand(graph, lambda step: [(DOWN if step < 20 else UP, {})]) as hand:
        first = hand.decided(lambda d: "workspace" in d.limited_by)
        assert first.source == "teleop" and first.allowed[1] == pytest.approx(DOWN[1], abs=2e-3), (
            "slides along the face"
        )
        held = hand.decided(lambda d: "left the workspace" in d.refused)
        assert 9 <= held.step - first.step <= 12, "ten in a row"
        hand.decided(lambda d: d.step >= 21 and d.mode < Mode.HOLD and d.allowed[2] > 0.01)
        since_ns = hand.began_ns
        low_m = graph.witness.tool_m(since_ns)[:, 2].min()
    case.nothing("outside the box", low_m < safety.workspace_low_m[2] - safety.workspace_slack_m - SAG_M)
    assert np.isfinite(low_m)
