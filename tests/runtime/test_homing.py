"""The way home in numbers."""

from __future__ import annotations

import pytest

from armtune_policies.contract import ActionSpec, Kind
from armtune_policies.episode.settings import EpisodeParams
from armtune_runtime.homing import Homing
from armtune_safety.settings import RobotParams

ROBOT = RobotParams(
    name="two",
    mjcf="two.xml",
    source="this test",
    joints=("a", "b"),
    finger_joint="finger",
    gripper_closed_m=0.0,
    gripper_open_m=0.04,
    joint_lower_rad=(-2.0, -2.0),
    joint_upper_rad=(2.0, 2.0),
    joint_velocity_rad_s=(1.0, 1.0),
    joint_acceleration_rad_s2=(5.0, 5.0),
    joint_jerk_rad_s3=(500.0, 500.0),
    gripper_velocity_1_s=2.0,
    home_rad=(0.1, -0.2),
    home_gripper=1.0,
)
NAMES = ("finger", "b", "a")


def homing() -> Homing:
    return Homing(ROBOT, EpisodeParams(home_tolerance_rad=0.05, home_tolerance_gripper=0.1), 5.0)


def test_arm_is_home_when_joints_come_in_any_order() -> None:
    assert homing().is_home(NAMES, (0.04, -0.22, 0.12))


@pytest.mark.parametrize("positions", [(0.04, -0.2, 0.2), (0.02, -0.2, 0.1), (0.04, float("nan"), 0.1), (0.04, -0.2)])
def test_arm_is_not_home_when_a_joint_or_the_gripper_is_far_or_missing(positions: tuple[float, ...]) -> None:
    assert not homing().is_home(NAMES, positions)


def test_proposals_are_numbered_joint_targets_when_ticks_are_answered() -> None:
    one = homing()
    first, second = one.proposal("", 7, 3), one.proposal("", 8, 3)
    assert (first.seq, second.seq, second.step, second.lease) == (1, 2, 8, 3)
    assert (first.kind, first.values, first.source) == (Kind.JOINT_TARGET, (0.1, -0.2, 1.0), "motion")
    assert first.spec_digest == ActionSpec().digest and first.observation_stamp_ns == 0
