"""Joint states: any order will do, nothing else is forgiven."""

from __future__ import annotations

import math

import pytest
from gate_rig import gate_params

from armtune_safety.sensing import Joints

ROBOT = gate_params().robot
NAMES = [*ROBOT.joints, ROBOT.finger_joint]
HOME = [*ROBOT.home_rad, ROBOT.gripper_open_m]


@pytest.mark.fault("F06")
def test_order_does_not_matter_nor_does_one_more() -> None:
    joints = Joints(ROBOT)
    assert joints.take(["tail", *NAMES[::-1]], [0.0, *HOME[::-1]], 5, 6) == ""
    assert joints.position == pytest.approx([*ROBOT.home_rad, 1.0])


@pytest.mark.fault("F06", "F07")
@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (NAMES[:-1], HOME[:-1]),
        ([*NAMES[:-1], NAMES[0]], HOME),
        (NAMES, HOME[:-1]),
        (NAMES, [math.nan, *HOME[1:]]),
        (NAMES, [*HOME[:-1], math.inf]),
        (NAMES, [9.0, *HOME[1:]]),
        (NAMES, [*HOME[:-1], 0.3]),
        (NAMES, [*HOME[:-1], 1e308]),
        ([], []),
    ],
)
def test_message_is_refused_whole_when_part_of_it_is_wrong(names: list[str], positions: list[float]) -> None:
    joints = Joints(ROBOT)
    joints.take(NAMES, HOME, 0, 0)
    assert joints.take(names, positions, 1, 10**9)
    assert joints.age_s(10**9) == 1.0 and joints.refused_in_a_row == 1


@pytest.mark.fault("F05")
def test_never_seen_is_infinitely_old() -> None:
    assert Joints(ROBOT).age_s(0) == math.inf and Joints(ROBOT).stamp_age_s(0, 0) == math.inf


@pytest.mark.fault("F39")
def test_stamps_of_other_sensors_are_judged_on_the_sensors_clock() -> None:
    joints = Joints(ROBOT)
    joints.take(NAMES, HOME, stamp_ns=10**18, now_ns=5 * 10**9)
    assert joints.stamp_age_s(10**18 - 10**8, 5 * 10**9 + 10**8) == pytest.approx(0.2)
