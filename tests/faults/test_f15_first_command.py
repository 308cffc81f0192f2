"""F15: the first command after arming or a takeover is far from the arm."""

from __future__ import annotations

import numpy as np
import pytest
from casebook import Case
from hand import Hand, always
from rig import FaultStack

from armtune_policies.contract import Kind

pytestmark = [pytest.mark.slow, pytest.mark.fault("F15")]


def test_arm_does_not_jump_when_the_first_target_is_far_away(graph: FaultStack, case: Case) -> None:
    case.by("a takeover with a joint target 1 rad away")
    robot = graph.config.robot
    far = [robot.home_rad[0] + 1.0, *robot.home_rad[1:], robot.home_gripper]
    with Hand(graph, always(far, kind=int(Kind.JOINT_TARGET))) as hand:
        first = hand.decided(lambda d: bool(d.source))
        reach_m = float(np.linalg.norm(first.allowed[:3]))
    case.nothing(
        "further than one period's way at the first step", reach_m > graph.config.safety.max_linear_m_s * 0.2 + 1e-3
    )
    assert first.limited_by
    case.nothing("a jump of the setpoint", graph.witness.violations(hand.began_ns))
    case.owes(
        "the way to a far first target is limited and marked rather than refused: a tool delta always starts at the arm"
    )
