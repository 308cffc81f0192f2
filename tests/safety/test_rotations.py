"""Rotation vectors near 0, near pi and in between."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from armtune_safety import rotations

unit = st.floats(-1, 1)
axes = st.tuples(unit, unit, unit).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)
angles = st.one_of(
    st.floats(0, math.pi), st.floats(0, 1e-7), st.floats(math.pi - 1e-7, math.pi), st.sampled_from([0.0, math.pi])
)


@given(axes, angles)
def test_log_undoes_exp_up_to_the_sign_at_pi(axis: np.ndarray, angle: float) -> None:
    r = rotations.exp(axis / np.linalg.norm(axis) * angle)
    assert np.allclose(r @ r.T, np.eye(3), atol=1e-12)
    back = rotations.log(r)
    assert np.linalg.norm(back) == pytest.approx(angle, abs=1e-7)
    assert np.allclose(rotations.exp(back), r, atol=1e-7)


@given(axes, angles)
def test_angle_between_is_the_angle_turned(axis: np.ndarray, angle: float) -> None:
    start = rotations.exp([0.3, -0.2, 0.1])
    turned = rotations.exp(axis / np.linalg.norm(axis) * angle) @ start
    assert rotations.angle_rad(start, turned) == pytest.approx(angle, abs=1e-7)


@given(axes, angles)
def test_exp_and_log_agree_with_scipy(axis: np.ndarray, angle: float) -> None:
    vector = axis / np.linalg.norm(axis) * angle
    r = Rotation.from_rotvec(vector).as_matrix()
    assert np.allclose(rotations.exp(vector), r, rtol=0, atol=1e-14)
    theirs, ours = Rotation.from_matrix(r).as_rotvec(), rotations.log(r)
    if angle > math.pi - 1e-6:  # pi about an axis is pi about its opposite
        ours = ours * (1.0 if np.dot(ours, theirs) > 0 else -1.0)
    assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9 if angle < 3.0 else 1e-7)
