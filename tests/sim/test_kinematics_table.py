"""The arm's description against the maker's screw axes: two independent ways to the same pose."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
from scipy.linalg import expm

from armtune_policies.contract.paths import config_root

# Interbotix/interbotix_ros_toolboxes, interbotix_xs_modules/mr_descriptions.py, class wx250s:
# screw axes in the base frame (rotation, then velocity; rad, m) and the tool's pose at zero.
SCREW_AXES = np.array(
    [
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, -0.11065, 0.0, 0.0],
        [0.0, 1.0, 0.0, -0.36065, 0.0, 0.04975],
        [1.0, 0.0, 0.0, 0.0, 0.36065, 0.0],
        [0.0, 1.0, 0.0, -0.36065, 0.0, 0.29975],
        [1.0, 0.0, 0.0, 0.0, 0.36065, 0.0],
    ]
)
TOOL_AT_ZERO_M = (0.458325, 0.0, 0.36065)
# interbotix_xsarm_descriptions/urdf/wx250s.urdf.xacro: limits in degrees, then rad/s
LIMITS_DEG = ((-180, 180), (-108, 114), (-123, 92), (-180, 180), (-100, 123), (-180, 180))
FINGER_M = (0.015, 0.037)


@pytest.fixture(scope="module")
def arm() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(config_root() / "robot" / "wx250s.xml"))


def by_screws(q_rad: np.ndarray) -> np.ndarray:
    """Product of exponentials (Lynch and Park, Modern Robotics, 4.1.2); shape (4, 4)."""
    pose = np.eye(4)
    for (wx, wy, wz, *v), q in zip(SCREW_AXES, q_rad):
        screw = np.array([[0, -wz, wy, v[0]], [wz, 0, -wx, v[1]], [-wy, wx, 0, v[2]], [0, 0, 0, 0]])
        pose = pose @ expm(screw * q)
    zero = np.eye(4)
    zero[:3, 3] = TOOL_AT_ZERO_M
    return pose @ zero


def test_tool_is_where_the_screw_axes_say_when_joints_are_anywhere(arm: mujoco.MjModel) -> None:
    data, rng, site = mujoco.MjData(arm), np.random.default_rng(250), arm.site("tool0").id
    for _ in range(50):
        q = rng.uniform(*arm.jnt_range[:6].T)
        data.qpos[:6] = q
        mujoco.mj_kinematics(arm, data)
        expected = by_screws(q)
        assert np.linalg.norm(data.site_xpos[site] - expected[:3, 3]) < 1e-3
        np.testing.assert_allclose(data.site_xmat[site].reshape(3, 3), expected[:3, :3], atol=1e-5)


def test_limits_are_the_makers_when_read_from_the_description(arm: mujoco.MjModel) -> None:
    np.testing.assert_allclose(np.degrees(arm.jnt_range[:6]), LIMITS_DEG, atol=1e-3)
    np.testing.assert_allclose(arm.joint("left_finger").range, FINGER_M)
    np.testing.assert_allclose(arm.numeric("max_velocity").data[:6], np.pi, atol=1e-6)


def test_arm_stays_within_3_mm_when_it_follows_a_fast_setpoint(arm: mujoco.MjModel) -> None:
    data, ghost, site = mujoco.MjData(arm), mujoco.MjData(arm), arm.site("tool0").id
    mujoco.mj_resetDataKeyframe(arm, data, arm.key("home").id)
    home, worst_m, before = data.qpos[:6].copy(), 0.0, None
    data.ctrl[:] = data.qpos[:7]
    for tick in range(300):
        wave = np.sin(2 * np.pi * 0.2 * tick * 0.01)
        data.ctrl[:6] = home + wave * np.array([0.6, 0.3, 0.3, 0.2, 0.2, 0.4])
        mujoco.mj_step(arm, data, 5)
        ghost.qpos[:6] = data.ctrl[:6]
        mujoco.mj_kinematics(arm, ghost)
        told = ghost.site_xpos[site].copy()
        if before is not None:
            assert np.linalg.norm(told - before) / 0.01 < 0.45
        before = told
        worst_m = max(worst_m, float(np.linalg.norm(told - data.site_xpos[site])))
    assert worst_m < 0.003


def test_description_is_ours_when_it_is_read() -> None:
    text = Path(config_root() / "robot" / "wx250s.xml").read_text()
    assert "mesh" not in text
