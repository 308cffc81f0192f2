"""A target at a part of the speed keeps its direction; the gate's tests hold the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gate_rig import gate_params

from armtune_policies.contract import ActionSpec, Kind, Proposal
from armtune_safety.kinematics import Kinematics
from armtune_safety.targets import Pose, Target, Targets

PARAMS = gate_params()
SPEC = ActionSpec()
HOME = np.array([*PARAMS.robot.home_rad, 1.0])


def allowed(kinematics: Kinematics, values: tuple[float, ...], scale: float, kind: Kind = Kind.TOOL_DELTA) -> Target:
    proposal = Proposal("e", 0, "policy", 0, 1, 1, SPEC.digest, "v", kind, values)
    targets = Targets(PARAMS.robot, PARAMS.safety, SPEC, kinematics)
    return targets.allowed(proposal, Pose(*kinematics.tool_pose(HOME[:6])), HOME, scale)


def test_tool_goes_the_same_way_but_less_far_when_it_is_slowed(kinematics: Kinematics) -> None:
    values = (0.04, 0.03, 0.0, 0.0, 0.0, 0.2, 0.5)
    target = allowed(kinematics, values, 0.25)
    move, turn = target.allowed[:3], target.allowed[3:6]
    assert target.limited_by == ("slow",) and target.opening == 0.5
    assert np.linalg.norm(move) == pytest.approx(0.25 * PARAMS.safety.max_linear_m_s * SPEC.period_s, rel=1e-3)
    assert np.linalg.norm(turn) == pytest.approx(0.25 * PARAMS.safety.max_angular_rad_s * SPEC.period_s, rel=1e-2)
    assert np.cross(move, values[:3]) == pytest.approx(np.zeros(3), abs=1e-6)


def test_slow_proposal_passes_unchanged_when_it_is_slowed(kinematics: Kinematics) -> None:
    values = (0.005, 0.0, 0.005, 0.0, 0.02, 0.0, 0.5)
    target = allowed(kinematics, values, 0.25)
    assert target.limited_by == () and tuple(target.allowed) == values


def test_joint_target_is_slowed_alike(kinematics: Kinematics) -> None:
    goal = (*(HOME[:6] + 0.5), 1.0)
    full, slow = (allowed(kinematics, goal, scale, Kind.JOINT_TARGET) for scale in (1.0, 0.25))
    assert slow.limited_by == ("slow",) and "slow" not in full.limited_by
    assert np.max(slow.q_rad - HOME[:6]) < 0.3 * np.max(full.q_rad - HOME[:6])


@pytest.mark.parametrize("scale", [math.nan, -1.0, 0.0, 1.0])
def test_still_proposal_stays_where_it_is_at_any_scale(kinematics: Kinematics, scale: float) -> None:
    target = allowed(kinematics, (0.0,) * 6 + (1.0,), scale)
    assert target.q_rad == pytest.approx(HOME[:6], abs=1e-5)
