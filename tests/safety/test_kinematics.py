"""Kinematics agree with themselves; the simulator's tests hold them against the maker's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_rig import gate_params

from armtune_safety import rotations
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import _PER_JOINT

ROBOT = gate_params().robot
HOME = np.array(ROBOT.home_rad)


def test_home_is_in_the_workspace_and_points_down(kinematics: Kinematics) -> None:
    p, r = kinematics.tool_pose(HOME)
    assert p == pytest.approx([0.20, 0.0, 0.17], abs=1e-3)
    assert r[:, 0] == pytest.approx([0.0, 0.0, -1.0], abs=1e-3)


def test_solution_is_the_pose_asked_for_when_it_is_near(kinematics: Kinematics) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        q = HOME + rng.uniform(-0.3, 0.3, 6)
        p, r = kinematics.tool_pose(q)
        found = kinematics.solve(p, r, HOME)
        got_p, got_r = kinematics.tool_pose(found)
        assert np.linalg.norm(got_p - p) < 1e-5 and rotations.angle_rad(got_r, r) < 1e-4


def test_solution_stays_in_the_limits_when_the_pose_is_out_of_reach(kinematics: Kinematics) -> None:
    q = kinematics.solve(np.array([2.0, 0.0, 0.0]), np.eye(3), HOME + 10.0)
    assert np.all(q >= np.array(ROBOT.joint_lower_rad)) and np.all(q <= np.array(ROBOT.joint_upper_rad))


def test_state_is_position_rotation_vector_and_opening(kinematics: Kinematics) -> None:
    state = kinematics.tool_state(HOME, 0.25)
    assert state.dtype == np.float32 and state.shape == (7,) and state[6] == 0.25
    assert state[3:6] == pytest.approx([0.0, np.pi / 2, 0.0], abs=1e-3)


def test_missing_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        Kinematics(ROBOT, tmp_path / "none.xml")


def test_description_is_refused_when_it_lacks_the_tool(tmp_path: Path) -> None:
    file = tmp_path / "arm.xml"
    file.write_text("<mujoco><worldbody><body name='base_link'/></worldbody></mujoco>")
    with pytest.raises(ValueError, match="expected a joint named 'waist'"):
        Kinematics(ROBOT, file)


def test_condition_number_is_small_at_home_and_large_with_a_straight_wrist(kinematics: Kinematics) -> None:
    straight = HOME.copy()
    straight[4] = 1e-4
    assert kinematics.condition(HOME) < 10.0 < 100.0 < kinematics.condition(straight)


def test_three_joints_bring_the_tool_to_the_place_and_turn_it_not_at_all() -> None:
    """What leaves the place alone is nothing there, and its rounding no motion."""
    params = gate_params()
    per_joint = {name: getattr(ROBOT, name)[:3] for name in (*_PER_JOINT, "joints", "home_rad")}
    arm, rng = Kinematics(replace(ROBOT, **per_joint), params.mjcf), np.random.default_rng(0)
    for _ in range(20):
        q = HOME[:3] + rng.uniform(-0.2, 0.2, 3)
        p, r = arm.tool_pose(q + rng.uniform(-0.05, 0.05, 3))
        found = arm.solve(p, rotations.exp(rng.uniform(-0.2, 0.2, 3)) @ r, q)
        assert np.linalg.norm(arm.tool_pose(found)[0] - p) < 1e-6


def test_no_joint_moves_the_tool_further_than_its_lever(kinematics: Kinematics) -> None:
    rng = np.random.default_rng(0)
    low, high = np.array(ROBOT.joint_lower_rad), np.array(ROBOT.joint_upper_rad)
    for _ in range(200):
        q, turn = rng.uniform(low, high), rng.uniform(-1.0, 1.0, 6)
        (p, r), (moved_p, moved_r) = kinematics.tool_pose(q), kinematics.tool_pose(q + turn)
        assert np.linalg.norm(moved_p - p) <= np.abs(turn) @ kinematics.levers_m
        assert rotations.angle_rad(r, moved_r) <= np.sum(np.abs(turn)) + 1e-9
