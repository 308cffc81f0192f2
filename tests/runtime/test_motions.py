"""The arm's own motions in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.contract import ActionSpec, Kind
from armtune_policies.episode.motion import Leg
from armtune_policies.episode.settings import EpisodeParams
from armtune_runtime.motions import Motions
from armtune_safety.kinematics import Kinematics
from armtune_sim.gated import default_gate
from fixtures.two_joints import ROBOT

NAMES = ("finger", "b", "a")
HOME, AWAY = (0.04, -0.2, 0.1), (0.0, -0.5, 0.6)


def motions(mjcf: str = "") -> Motions:
    return Motions(ROBOT, EpisodeParams(home_tolerance_rad=0.05, home_tolerance_gripper=0.1), 5.0, mjcf)


def test_arm_is_home_when_joints_come_in_any_order() -> None:
    one = motions()
    assert one.is_home(one.joints(NAMES, (0.04, -0.22, 0.12)))


@pytest.mark.parametrize("positions", [(0.04, -0.2, 0.2), (0.02, -0.2, 0.1), (0.04, float("nan"), 0.1), (0.04, -0.2)])
def test_arm_is_not_home_when_a_joint_or_the_gripper_is_far_or_missing(positions: tuple[float, ...]) -> None:
    one = motions()
    assert not one.is_home(one.joints(NAMES, positions))


def test_joint_that_is_farthest_from_home_is_named() -> None:
    measured = np.array([*ROBOT.home_rad, 0.25])
    measured[1] += 0.3
    said = motions().off_home(measured)
    assert f"{ROBOT.joints[1]} is 0.30 rad off" in said and f"0.25 open, expected {ROBOT.home_gripper:g}" in said


def test_hand_opens_where_it_is_then_the_arm_goes_home_by_numbered_joint_targets() -> None:
    one = motions()
    first = one.proposal("", 7, 3, one.joints(NAMES, AWAY))
    second = one.proposal("", 8, 3, one.joints(NAMES, (0.04, -0.5, 0.6)))
    assert first is not None and second is not None
    assert (first.seq, second.seq, second.step, second.lease) == (1, 2, 8, 3)
    assert (first.kind, first.values, first.source) == (Kind.JOINT_TARGET, (0.6, -0.5, 1.0), "motion")
    assert second.values == (0.1, -0.2, 1.0)
    assert first.spec_digest == ActionSpec().digest and first.observation_stamp_ns == 0
    assert one.proposal("", 9, 3, one.joints(NAMES, HOME)) is None, "the motion is over"


def test_arm_that_is_not_described_cannot_nudge() -> None:
    assert not motions().follow([Leg((0.3, 0.0, 0.02))])


def test_route_is_made_of_tool_deltas_of_a_shut_hand_until_it_is_over() -> None:
    gate = default_gate()
    one = Motions(gate.robot, EpisodeParams(), 5.0, gate.mjcf)
    at = np.append(gate.robot.home_rad, 1.0)
    tool = Kinematics(gate.robot, gate.mjcf).tool_state(at[:-1], 1.0)[:3]
    assert one.follow([Leg((float(tool[0]) + 0.2, float(tool[1]), float(tool[2])))])
    proposal = one.proposal("", 0, 1, at)
    assert proposal is not None and proposal.kind == Kind.TOOL_DELTA
    assert proposal.values == pytest.approx((0.05, 0, 0, 0, 0, 0, 0))
    half = np.append(at[:-1], 0.5)
    assert one.proposal("", 1, 1, half) is not None, "the hand is still shutting"
    assert one.proposal("", 2, 1, half) is None, "it came no nearer, and holds something"
    assert np.allclose(one.passed, [[*tool, *one.passed[0][3:6], 0.5]])
