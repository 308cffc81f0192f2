"""Fixtures of the gate's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gate_rig import Rig, gate_params

from armtune_safety.kinematics import Kinematics


@pytest.fixture(scope="session")
def kinematics() -> Kinematics:
    params = gate_params()
    return Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad)


@pytest.fixture
def rig(kinematics: Kinematics) -> Rig:
    return Rig(gate_params(), kinematics)
