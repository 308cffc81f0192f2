"""Noise of practice: of the size asked for, the same again, within bounds, and none of it on the gripper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ActionSpec
from armtune_policies.runtime.exploration import CORRELATION, Exploration

ACTION = ActionSpec()
LOW, HIGH = np.array(ACTION.low, np.float32), np.array(ACTION.high, np.float32)
MEAN = ((LOW + HIGH) / 2).astype(np.float32)


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.integers(1, 50), st.integers(0, 99), st.integers(0, 60))
def test_proposal_stays_in_its_bounds_and_the_gripper_where_it_was(
    first: float, last: float, over: int, index: int, step: int
) -> None:
    one = Exploration(ACTION, first, last, over, 1)
    assert min(first, last) - 1e-9 <= one.scale(index) <= max(first, last) + 1e-9
    for proposed in (MEAN, LOW, HIGH):
        strayed = one.strayed(proposed, index, step)
        assert (strayed >= LOW).all() and (strayed <= HIGH).all() and strayed[-1] == proposed[-1]


def test_same_step_of_the_same_episode_strays_alike_whatever_was_asked_before() -> None:
    one, other = (Exploration(ACTION, 0.3, 0.0, 10, 7) for _ in range(2))
    there = [one.strayed(MEAN, 2, step) for step in range(9)]
    other.strayed(MEAN, 5, 3)
    np.testing.assert_array_equal(other.strayed(MEAN, 2, 8), there[8])
    np.testing.assert_array_equal(one.strayed(MEAN, 2, 4), there[4])
    assert not np.array_equal(one.strayed(MEAN, 3, 8), there[8])
    assert not np.array_equal(Exploration(ACTION, 0.3, 0.0, 10, 8).strayed(MEAN, 2, 8), there[8])


def test_noise_is_as_large_and_as_even_as_it_says() -> None:
    one = Exploration(ACTION, 0.1, 0.1, 1, 0)
    half = ((HIGH - LOW) / 2)[:-1]
    drawn = np.array([[(one.strayed(MEAN, i, k) - MEAN)[:-1] / half for k in range(40)] for i in range(60)])
    assert drawn.std() == pytest.approx(0.1, rel=0.05) and abs(drawn.mean()) < 0.005
    together = float((drawn[:, 1:] * drawn[:, :-1]).mean() / drawn.var())
    assert together == pytest.approx(CORRELATION, abs=0.05)


def test_it_fades_and_without_any_the_mean_is_proposed() -> None:
    one = Exploration(ACTION, 0.2, 0.05, 100, 0)
    assert [one.scale(index) for index in (0, 50, 100, 1000)] == pytest.approx([0.2, 0.125, 0.05, 0.05])
    assert Exploration(ACTION, 0.0, 0.0, 1, 0).strayed(MEAN, 0, 0) is MEAN
