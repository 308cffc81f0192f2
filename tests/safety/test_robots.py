"""The arms the gate has models of: their makers' numbers, what their joints can do, and no bound exceeded."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from gate_rig import Rig, gate_params
from streams import THEMES, run_many

from armtune_policies.contract import ActionSpec, Kind, Proposal
from armtune_safety import rotations
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import GateParams
from armtune_safety.targets import Pose, Target, Targets

PI, SPEC = np.pi, ActionSpec()
STREAMS = 66


class Joint(NamedTuple):
    """A joint as a URDF has it: where it sits in its parent [m], turned by roll, pitch, yaw [rad], and its axis."""

    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    axis: tuple[float, float, float]


# TrossenRobotics/trossen_arm_description, urdf/generated/wxai/wxai_follower.urdf; the last row is ee_gripper
WXAI = (
    Joint((0, 0, 0.05725), (0, 0, 0), (0, 0, 1)), Joint((0.02, 0, 0.04625), (0, 0, 0), (0, 1, 0)),
    Joint((-0.264, 0, 0), (0, 0, 0), (0, -1, 0)), Joint((0.245, 0, 0.06), (0, 0, 0), (0, -1, 0)),
    Joint((0.06775, 0, 0.0455), (0, 0, 0), (0, 0, -1)), Joint((0.02895, 0, -0.0455), (0, 0, 0), (1, 0, 0)),
    Joint((0.156062, 0, 0), (0, 0, 0), (0, 0, 0)),
)  # fmt: skip
# TheRobotStudio/SO-ARM100, Simulation/SO101/so101_new_calib.urdf; the last row is gripperframe_frame
SO101 = (
    Joint((0.0388353, 0, 0.0624), (PI, 0, -PI), (0, 0, 1)),
    Joint((-0.0303992, -0.0182778, -0.0542), (-PI / 2, -PI / 2, 0), (0, 0, 1)),
    Joint((-0.11257, -0.028, 0), (0, 0, PI / 2), (0, 0, 1)), Joint((-0.1349, 0.0052, 0), (0, 0, -PI / 2), (0, 0, 1)),
    Joint((0, -0.0611, 0.0181), (PI / 2, 0.0486795, PI), (0, 0, 1)),
    Joint((-0.0079, -0.000218121, -0.0981274), (0, PI / 2, 0), (0, 0, 0)),
)  # fmt: skip
# frankarobotics/libfranka, test/fr3.urdf; the last row is hand_tcp of franka_description, turned as our tool is
FR3 = (
    Joint((0, 0, 0.333), (0, 0, 0), (0, 0, 1)), Joint((0, 0, 0), (-PI / 2, 0, 0), (0, 0, 1)),
    Joint((0, -0.316, 0), (PI / 2, 0, 0), (0, 0, 1)), Joint((0.0825, 0, 0), (PI / 2, 0, 0), (0, 0, 1)),
    Joint((-0.0825, 0.384, 0), (-PI / 2, 0, 0), (0, 0, 1)), Joint((0, 0, 0), (PI / 2, 0, 0), (0, 0, 1)),
    Joint((0.088, 0, 0), (PI / 2, 0, 0), (0, 0, 1)),
    Joint((0, 0, 0.107 + 0.1034), (PI, -PI / 2, -PI / 4), (0, 0, 0)),
)  # fmt: skip
CHAINS = {"wxai": WXAI, "so101": SO101, "fr3": FR3}
# The same files' limits [deg], the finger's [m, rad of a jaw of 0.1 m]
LIMITS_DEG = {
    "wxai": ((-175, 175), (0, 180), (0, 135), (-90, 90), (-90, 90), (-180, 180)),
    "so101": ((-110, 110), (-100, 100), (-96.83, 96.83), (-95, 95), (-157.21, 162.79)),
    "fr3": (
        (-157.5691, 157.5691), (-102.6626, 102.6626), (-166.5302, 166.5302), (-174.6433, -8.3537),
        (-161.0069, 161.0069), (30.9924, 259.0056), (-173.0103, 173.0103),
    ),
}  # fmt: skip
NO_WIDER = 1e-5
"""What rounding may add [rad, m]."""
PERIODS = {"wxai": 20, "so101": 20, "fr3": 60}
"""Seven joints may have the tool at home with the elbow anywhere, and it is a long way back."""
FINGERS = {"wxai": (0.0, 0.044), "so101": (-0.0174533, 0.174533), "fr3": (0.0, 0.04)}


@cache
def params_of(arm: str) -> GateParams:
    return gate_params(arm=arm)


@cache
def kinematics_of(arm: str) -> Kinematics:
    params = params_of(arm)
    return Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad)


def by_hand(chain: tuple[Joint, ...], q_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One homogeneous transform after another; rotation = yaw * pitch * roll, as URDF says."""
    p, r = np.zeros(3), np.eye(3)
    for joint, q in zip(chain, [*q_rad, 0.0]):
        p = p + r @ np.array(joint.xyz)
        for axis, angle in zip(np.eye(3)[::-1], joint.rpy[::-1]):
            r = r @ rotations.exp(axis * angle)
        r = r @ rotations.exp(np.array(joint.axis) * q)
    return p, r


def within(arm: str, count: int, margin_rad: float = 0.2) -> list[np.ndarray]:
    """Joints (dof,) at random whose tool is well in the workspace and in the cone, far from what slows the arm."""
    robot, safety, rng = params_of(arm).robot, params_of(arm).safety, np.random.default_rng(0)
    least, most = np.array(safety.workspace_low_m) + 0.02, np.array(safety.workspace_high_m) - 0.02
    low, high = np.array(robot.joint_lower_rad) + margin_rad, np.array(robot.joint_upper_rad) - margin_rad
    centre, found = rotations.exp(safety.tool_reference_rad), list[np.ndarray]()
    while len(found) < count:
        q = rng.uniform(low, high)
        p, r = kinematics_of(arm).tool_pose(q)
        turned = rotations.angle_rad(centre, r) < safety.tool_max_angle_rad
        if np.all((least < p) & (p < most)) and turned and kinematics_of(arm).condition(q) < safety.condition_slow:
            found.append(q)
    return found


def asked(arm: str, q_rad: np.ndarray, values: tuple[float, ...]) -> Target:
    params, kinematics = params_of(arm), kinematics_of(arm)
    proposal = Proposal("e", 0, "policy", 0, 1, 1, SPEC.digest, "v", Kind.TOOL_DELTA, values)
    targets = Targets(params.robot, params.safety, SPEC, kinematics)
    return targets.allowed(proposal, Pose(*kinematics.tool_pose(q_rad)), np.append(q_rad, 1.0))


@pytest.mark.parametrize("arm", CHAINS)
def test_tool_is_where_the_makers_numbers_put_it(arm: str) -> None:
    robot, rng = params_of(arm).robot, np.random.default_rng(1)
    low, high = np.array(robot.joint_lower_rad), np.array(robot.joint_upper_rad)
    for q in [np.zeros(robot.dof), np.array(robot.home_rad), *(rng.uniform(low, high) for _ in range(20))]:
        (p, r), (by_hand_p, by_hand_r) = kinematics_of(arm).tool_pose(q), by_hand(CHAINS[arm], q)
        assert p == pytest.approx(by_hand_p, abs=1e-5) and r == pytest.approx(by_hand_r, abs=1e-5)


@pytest.mark.parametrize("arm", CHAINS)
def test_limits_are_the_makers_and_no_wider(arm: str) -> None:
    robot = params_of(arm).robot
    for low, high, (makers_low, makers_high) in zip(robot.joint_lower_rad, robot.joint_upper_rad, LIMITS_DEG[arm]):
        assert np.degrees((low, high)) == pytest.approx((makers_low, makers_high), abs=0.01)
        assert np.radians(makers_low) - NO_WIDER <= low and high <= np.radians(makers_high) + NO_WIDER
    closed, opened = FINGERS[arm]
    assert (robot.gripper_closed_m, robot.gripper_open_m) == pytest.approx((closed, opened), abs=1e-4)
    assert closed - NO_WIDER <= robot.gripper_closed_m and robot.gripper_open_m <= opened + NO_WIDER


@pytest.mark.parametrize("arm", CHAINS)
def test_home_is_inside_the_workspace_and_far_from_a_singularity(arm: str) -> None:
    safety, home = params_of(arm).safety, np.array(params_of(arm).robot.home_rad)
    p, r = kinematics_of(arm).tool_pose(home)
    assert np.all(p > np.array(safety.workspace_low_m) + 0.05) and np.all(p < np.array(safety.workspace_high_m) - 0.05)
    assert rotations.angle_rad(r, rotations.exp(safety.tool_reference_rad)) < 0.1
    assert kinematics_of(arm).condition(home) < 10.0


@pytest.mark.parametrize("arm", CHAINS)
def test_arm_comes_home_from_anywhere_in_the_workspace(arm: str) -> None:
    home = np.array(params_of(arm).robot.home_rad)
    for q in within(arm, 4):
        rig = Rig(params_of(arm), kinematics_of(arm))
        rig.q = np.append(q, 0.5)
        rig.alive()
        rig.armed()
        for _ in range(PERIODS[arm]):
            rig.gate.on_supervisor()
            rig.period([*home, 1.0], kind=Kind.JOINT_TARGET)
        assert rig.q[:-1] == pytest.approx(home, abs=0.02)


@pytest.mark.parametrize("arm", CHAINS)
def test_no_bound_is_exceeded_by_streams_of_anything(arm: str) -> None:
    bad, counts = run_many(range(STREAMS), arm)
    said = "\n".join(f"seed {o.seed} ({o.theme}): {'; '.join(v.text for v in o.violations)}" for o in bad)
    assert not bad, f"{len(bad)} of {STREAMS} streams; streams.run(seed, arm={arm!r}) plays one again\n{said}"
    assert counts["accepted"] > STREAMS and counts["moved"] > 0.8 * STREAMS, counts
    assert all(counts[theme] > 0.3 * STREAMS / len(THEMES) for theme in THEMES), counts


def test_franka_bounded_as_its_page_says_is_slower_than_the_robot_allows_wherever_it_may_go() -> None:
    """Near an end d away it allows sqrt(2 * deceleration * d) - offset (the same URDF); never more than its limit."""
    robot, safety = params_of("fr3").robot, gate_params(arm="fr3", joint_margin_rad=0.25, joint_speed_scale=0.3).safety
    offset, deceleration = np.array([0.3, 0.2, 0.2, 0.3, 0.35, 0.35, 0.35]), np.array([6, 2.585, 3.5, 4, 17, 5.5, 17])
    allowed = np.sqrt(2.0 * deceleration * safety.joint_margin_rad) - offset
    assert np.all(np.array(robot.joint_velocity_rad_s) * safety.joint_speed_scale <= allowed)


# -- five joints -------------------------------------------------------------------------


def test_five_joints_bring_the_tool_to_the_place_asked_for() -> None:
    rng, kinematics = np.random.default_rng(2), kinematics_of("so101")
    for q in within("so101", 40):
        move = rng.uniform(-0.01, 0.01, 3)
        target = asked("so101", q, (*move, 0.0, 0.0, 0.0, 0.5))
        before, after = kinematics.tool_pose(q), kinematics.tool_pose(target.q_rad)
        assert after[0] - before[0] == pytest.approx(move, abs=2e-4)
        assert target.pose.rotation == pytest.approx(after[1], abs=1e-2), "what it says is what the joints do"
        assert set(target.limited_by) <= {"reach"}


def test_five_joints_turn_the_tool_as_near_as_any_that_reach_the_place() -> None:
    """Held against all ways of the wrist through the same place: none is nearer to the turn asked for."""
    rng, kinematics = np.random.default_rng(3), kinematics_of("so101")
    for q in within("so101", 10):
        p, r = kinematics.tool_pose(q)
        wanted = rotations.exp(rng.uniform(-0.3, 0.3, 3)) @ r
        found = kinematics.solve(p, wanted, q)
        got = rotations.angle_rad(kinematics.tool_pose(found)[1], wanted)
        for _ in range(60):
            other = rotations.exp(rng.normal(0, 0.1, 3)) @ wanted
            there_p, there_r = kinematics.tool_pose(kinematics.solve(p, other, q))
            assert not np.linalg.norm(there_p - p) < 1e-4 or rotations.angle_rad(there_r, wanted) > got - 1e-3


def test_turn_that_five_joints_do_not_have_leaves_the_arm_where_it_is() -> None:
    """Level and straight ahead there is no joint that turns the tool about the vertical in place."""
    q = np.array([0.0, -0.2, 0.4, -0.2, 0.0487])
    target = asked("so101", q, (0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5))
    assert target.limited_by == ("reach",) and target.q_rad == pytest.approx(q, abs=0.02)
    pitched = asked("so101", q, (0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.5))
    assert pitched.allowed[4] == pytest.approx(0.1, abs=5e-3), "nodding it has"
    rolled = asked("so101", q, (0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.5))
    assert rolled.allowed[3] == pytest.approx(0.1, abs=5e-3), "and rolling"


def test_sideways_move_of_five_joints_turns_the_tool_along() -> None:
    home = np.array(params_of("so101").robot.home_rad)
    target = asked("so101", home, (0.0, 0.03, 0.0, 0.0, 0.0, 0.0, 0.5))
    assert target.allowed[:3] == pytest.approx([0.0, 0.03, 0.0], abs=2e-4) and target.limited_by == ("reach",)
    assert np.linalg.norm(target.allowed[3:6]) > 0.05
