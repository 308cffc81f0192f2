"""A try is shifted as a whole: not at all after a success, farther with each failure, the same again by its index."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.runtime.aim import Aim, shifted


def test_aim_is_straight_after_a_success_and_wider_with_each_failure() -> None:
    one = Aim(0.005, 0.012, 3)
    assert not one.off_m(0, failures=0).any() and one.off_m(0, failures=1).any()
    assert [one.width_m(failures) for failures in range(5)] == pytest.approx([0.0, 0.005, 0.010, 0.012, 0.012])
    assert not Aim(0.0, 0.012, 3).off_m(4, failures=9).any()


def test_tries_differ_by_index_and_seed_and_are_as_wide_as_said() -> None:
    one = Aim(0.005, 0.02, 3)
    drawn = np.array([one.off_m(index, failures=2) for index in range(2000)])
    assert drawn.std(axis=0) == pytest.approx([0.01] * 3, rel=0.1) and np.abs(drawn.mean(axis=0)).max() < 0.001
    np.testing.assert_array_equal(one.off_m(9, 2), drawn[9])
    assert not np.array_equal(Aim(0.005, 0.02, 4).off_m(9, 2), drawn[9])


def test_nothing_is_shifted_but_where_the_tool_is() -> None:
    state = np.arange(7, dtype=np.float32)
    moved = shifted(state, np.array([0.1, -0.2, 0.3], np.float32))
    np.testing.assert_allclose(moved, [0.1, 0.8, 2.3, 3, 4, 5, 6], rtol=1e-6)
    assert moved.dtype == np.float32
