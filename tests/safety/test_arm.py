"""The arm leads its setpoint inside every bound, and can always stop there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from derivatives import assert_kept
from gate_rig import TICK_S, gate_params
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_safety import limits, rotations
from armtune_safety.arm import Arm
from armtune_safety.kinematics import Kinematics
from armtune_safety.targets import Pose, Target

PARAMS = gate_params()
ROBOT, SAFETY = PARAMS.robot, PARAMS.safety
NAMES = (*ROBOT.joints, ROBOT.finger_joint)
HOME = np.array(ROBOT.home_rad)
LOW, HIGH = np.array(ROBOT.joint_lower_rad) + SAFETY.joint_margin_rad, np.array(ROBOT.joint_upper_rad) - 0.03
BOUNDS = tuple(
    np.array(values)
    for values in (ROBOT.joint_velocity_rad_s, ROBOT.joint_acceleration_rad_s2, ROBOT.joint_jerk_rad_s3)
)

unit = st.tuples(*[st.one_of(st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 1.0]))] * 6).map(np.array)
acts = st.tuples(st.sampled_from(["near", "near", "far", "brake", "give way"]), unit, st.floats(0.05, 0.4))
ticks = st.lists(st.floats(0.005, 0.02), min_size=1, max_size=25)


def at_home(kinematics: Kinematics) -> Arm:
    arm = Arm(ROBOT, SAFETY, kinematics)
    assert seen(arm, HOME) == ""
    return arm


def seen(arm: Arm, q_rad: np.ndarray) -> str:
    return arm.take(NAMES, [*q_rad, ROBOT.finger_m(1.0)], 1, 1, held=True)


def target(arm: Arm, kinematics: Kinematics, q_rad: np.ndarray) -> Target:
    pose = Pose(*kinematics.tool_pose(np.where(np.isfinite(q_rad), q_rad, 0.0)))
    opening = 1.0 if arm.motion.target[6] < 0.5 else 0.0
    return Target(q_rad, opening, pose, np.append(pose.delta_from(arm.told), opening), ())


def act(arm: Arm, kinematics: Kinematics, what: str, where: np.ndarray, within_s: float) -> None:
    """Ask for a place that may be anywhere, for rest, or for where the arm is pushed to."""
    if what == "brake":
        arm.brake()
    elif what == "give way":
        seen(arm, np.clip(arm.motion.position[:6] + 0.2 * where, LOW, HIGH))
        arm.give_way()
    else:
        q = arm.motion.position[:6] + 0.3 * where if what == "near" else LOW + (HIGH - LOW) * (where + 1) / 2
        arm.set_out(target(arm, kinematics, np.clip(q, LOW, HIGH)), within_s)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(acts, ticks), min_size=1, max_size=8))
def test_setpoint_stays_inside_and_smooth_whatever_is_asked(kinematics: Kinematics, story: list) -> None:
    arm = at_home(kinematics)
    at_s, path = [-0.03, -0.02, -0.01, 0.0], [arm.motion.position] * 4
    for (what, where, within_s), lengths in story:
        act(arm, kinematics, what, where, within_s)
        for dt_s in [*lengths, *[TICK_S] * (40 if what == "brake" else 0)]:
            arm.advance(dt_s)
            at_s.append(at_s[-1] + dt_s)
            path.append(arm.motion.position)
        assert what != "brake" or np.all(arm.motion.velocity == 0.0)
    joints = np.array(path)[:, :6]
    assert_kept(np.array(at_s), joints, BOUNDS)
    assert np.all((joints >= LOW - 1e-5) & (joints <= HIGH + 1e-5))
    assert np.all((np.array(path)[:, 6] >= -1e-9) & (np.array(path)[:, 6] <= 1 + 1e-9))
    out_m, out_rad = np.array([outside(kinematics, q) for q in joints]).T
    assert np.max(out_m) <= SAFETY.workspace_slack_m + 1e-6
    assert np.max(out_rad) <= SAFETY.workspace_slack_rad + 1e-6


def outside(kinematics: Kinematics, q_rad: np.ndarray) -> tuple[float, float]:
    """How far the tool is beyond the box [m] and the cone [rad]; negative inside."""
    p, r = kinematics.tool_pose(q_rad)
    angle_rad = rotations.angle_rad(rotations.exp(SAFETY.tool_reference_rad), r)
    return limits.outside(p, SAFETY.workspace_low_m, SAFETY.workspace_high_m), angle_rad - SAFETY.tool_max_angle_rad


@pytest.mark.parametrize("seed", range(3))
def test_tool_is_never_told_further_out_at_the_edge_of_its_cone(kinematics: Kinematics, seed: int) -> None:
    """Nor where it was put outside by hand, while the arm presses against something and gives way."""
    rng, worst, places = np.random.default_rng(seed), np.zeros(2), 0
    slack = np.array([SAFETY.workspace_slack_m, SAFETY.workspace_slack_rad])
    while places < 40:
        q = rng.uniform(LOW, HIGH)
        was = np.array(outside(kinematics, q))
        if not (was[0] < 0.0 and -0.1 < was[1] < 0.06):
            continue
        arm, places, presses = at_home(kinematics), places + 1, False
        arm.known = False
        seen(arm, q)
        for tick in range(100):
            if tick % 20 == 0 and rng.random() < 0.6:
                act(arm, kinematics, "near", rng.normal(0, 0.5, 6), 0.2)
                presses = False
            if presses := presses or rng.random() < 0.03:
                act(arm, kinematics, "give way", rng.normal(0, 0.5, 6), 0.0)
            arm.advance(TICK_S)
            now = np.array(outside(kinematics, arm.motion.position[:6]))
            worst, was = np.maximum(worst, now - np.maximum(slack, was)), now
    assert np.all(worst <= 1e-6), f"further out by {1e3 * worst} mm, mrad within a tick"


def test_arm_brakes_and_says_so_when_a_target_is_outside_the_workspace(kinematics: Kinematics) -> None:
    arm = at_home(kinematics)
    arm.set_out(target(arm, kinematics, HOME + np.array([2.0, 0, 0, 0, 0, 0])), 0.5)
    braked = [arm.advance(TICK_S) for _ in range(100)]
    assert sum(braked) == 1 and np.all(arm.motion.velocity == 0.0)
    out_m = limits.outside(arm.told.p, SAFETY.workspace_low_m, SAFETY.workspace_high_m)
    assert -0.01 < out_m <= SAFETY.workspace_slack_m
    assert arm.target.p == pytest.approx(arm.told.p, abs=1e-6)


def test_arm_brakes_when_a_target_is_no_number(kinematics: Kinematics) -> None:
    arm = at_home(kinematics)
    assert arm.set_out(target(arm, kinematics, HOME + 0.2), 0.2)
    for _ in range(5):
        arm.advance(TICK_S)
    assert not arm.set_out(target(arm, kinematics, np.append(HOME[:5], math.nan)), 0.2)
    for _ in range(50):
        arm.advance(TICK_S)
    assert np.all(np.isfinite(arm.motion.position)) and np.all(arm.motion.velocity == 0.0)
    assert arm.target.p == pytest.approx(arm.told.p, abs=1e-9)


def test_setpoint_goes_smoothly_to_where_the_arm_is_when_it_gives_way(kinematics: Kinematics) -> None:
    arm = at_home(kinematics)
    arm.set_out(target(arm, kinematics, HOME + np.array([0.3, 0, 0, 0, 0, 0])), 0.2)
    path = [HOME] * 4
    for tick in range(80):
        if tick >= 8:
            seen(arm, HOME)
            arm.give_way()
        arm.advance(TICK_S)
        path.append(arm.motion.position[:6])
    assert path[-1] == pytest.approx(HOME, abs=1e-9) and np.max(path, axis=0)[0] > HOME[0] + 0.05
    assert_kept(TICK_S * np.arange(len(path)), np.array(path), BOUNDS)


def test_gripper_comes_to_rest_when_the_arm_gives_way(kinematics: Kinematics) -> None:
    ways: list[list[float]] = []
    for stop in (Arm.give_way, Arm.brake):
        arm, way = at_home(kinematics), list[float]()
        arm.set_out(target(arm, kinematics, HOME), 0.5)  # from open to shut
        for tick in range(60):
            if tick == 10:
                stop(arm)
            arm.advance(TICK_S)
            way.append(float(arm.motion.position[6]))
        ways.append(way)
    assert 0.3 < ways[0][-1] < 0.9
    assert ways[0] == pytest.approx(ways[1], abs=1e-6)


def test_distance_to_a_limit_shrinks_to_nothing_at_the_margin(kinematics: Kinematics) -> None:
    arm = at_home(kinematics)
    assert arm.limit_distance_rad == pytest.approx(0.676, abs=1e-3)
    arm.motion.restart(np.append(np.append(HOME[:5], HIGH[5]), 1.0))
    assert arm.limit_distance_rad == pytest.approx(0.0, abs=1e-12)


def test_condition_is_that_of_the_setpoint(kinematics: Kinematics) -> None:
    arm = at_home(kinematics)
    assert arm.condition == kinematics.condition(HOME) < 6.0
    arm.motion.restart(np.array([*HOME[:4], 0.01, 0.0, 1.0]))
    assert arm.condition > 100.0
