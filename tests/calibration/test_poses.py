from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_calibration.poses import apart, exp, from_quaternion, inverse, log, mean, to_quaternion

sixes = st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6)


@given(sixes)
def test_log_undoes_exp(six: list[float]) -> None:
    assert log(exp(six)) == pytest.approx(six, abs=1e-9)


@given(sixes)
def test_inverse_undoes_a_pose(six: list[float]) -> None:
    assert inverse(exp(six)) @ exp(six) == pytest.approx(np.eye(4), abs=1e-12)


@given(sixes)
def test_quaternion_says_the_same_pose(six: list[float]) -> None:
    assert from_quaternion(*to_quaternion(exp(six))) == pytest.approx(exp(six), abs=1e-9)


@given(sixes, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_apart_says_how_far(six: list[float], far_m: float, turn_rad: float) -> None:
    one = exp(six)
    assert apart(one, one @ exp([far_m, 0, 0, 0, turn_rad, 0])) == pytest.approx((far_m, turn_rad), abs=1e-7)


def test_mean_of_two_opposite_steps_is_where_they_started() -> None:
    here, step = exp([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), np.array([0, 0, 0, 0.1, -0.2, 0.05])
    found = mean(np.array([here @ exp(step), here @ exp(-step)]))
    assert apart(found, here) == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("quaternion", ([0, 0, 0, 2.0], [0, 0, 0, np.nan], [0, 0, 0, 0]))
def test_quaternion_that_is_none_is_refused(quaternion: list[float]) -> None:
    with pytest.raises(ValueError, match="unit quaternion"):
        from_quaternion([0, 0, 0], quaternion)
