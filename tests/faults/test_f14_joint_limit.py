"""F14: a joint near its limit; the arm near a singularity."""

from __future__ import annotations

import pytest
from casebook import Case
from hand import Hand
from rig import FaultStack

from armtune_policies.contract import Kind, Mode

pytestmark = [pytest.mark.slow, pytest.mark.fault("F14")]


JOINT_TARGET = {"kind": int(Kind.JOINT_TARGET)}
AHEAD = (0.0, 0.24, -0.61, 0.0, 1.95, 0.0)
"""Tool at (0.34, 0, 0.27) m pointing down, the wrist near its limit."""
STRETCHED = (0.0, 0.6, -1.45, 0.0, 1.9, 0.0)
"""The elbow all but straight."""


def test_arm_is_slow_near_a_joint_limit_and_gets_away_again(graph: FaultStack, case: Case) -> None:
    case.by("a joint target at the wrist's limit, then home")
    robot = graph.config.robot
    upper_rad = robot.joint_upper_rad[4]
    there, home = [*AHEAD[:4], upper_rad, 0.0, 1.0], [*robot.home_rad, robot.home_gripper]
    with Hand(graph, lambda step: [(there if step < 20 else home, JOINT_TARGET)]) as hand:
        slow = hand.decided(lambda d: d.mode == Mode.SLOW and "joint limits" in d.limited_by, timeout_s=6.0)
        away = hand.decided(lambda d: d.step >= max(20, slow.step) and d.mode == Mode.RUN, timeout_s=10.0)
        wrist_rad = graph.log.measured(hand.began_ns)[1][:, 4]
    case.nothing("beyond the limit", wrist_rad.max() > upper_rad)
    case.nothing("trapped at the limit", not wrist_rad[-1] < upper_rad - 0.2 or away.refused)


def test_arm_is_slow_or_held_near_a_singularity_and_gets_away_again(graph: FaultStack, case: Case) -> None:
    case.by("a joint target with the arm stretched out, then home")
    robot = graph.config.robot
    there, home = [*STRETCHED, 1.0], [*robot.home_rad, robot.home_gripper]
    with Hand(graph, lambda step: [(there if step < 20 else home, JOINT_TARGET)]) as hand:
        near = hand.decided(lambda d: d.mode in (Mode.SLOW, Mode.HOLD), timeout_s=8.0)
        back = hand.decided(lambda d: d.step >= max(20, near.step) and d.mode == Mode.RUN, timeout_s=10.0)
    case.nothing("trapped at the singularity", back.refused)
