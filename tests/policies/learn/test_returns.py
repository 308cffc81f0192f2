from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.learn.returns import mc_returns, transformed
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import Trajectory, from_arrays

GAMMA = 0.9
FAILS = -1 / (1 - GAMMA)


def steps(reward: list[float], follows: list[bool] | None = None, ends_in_success: bool = False) -> Trajectory:
    count = len(reward)
    terminated = np.zeros(count, bool)
    terminated[-1] = ends_in_success
    return Trajectory(
        source="here",
        features=np.zeros((count, 0), np.float32),
        state=np.arange(count, dtype=np.float32)[:, None],
        action=np.zeros((count, 1), np.float32),
        reward=np.array(reward, np.float32),
        terminated=terminated,
        follows=np.array(follows if follows is not None else [True] * (count - 1) + [False]),
        is_step=np.ones(count, bool),
    )


def test_return_of_a_success_is_its_discounted_sum() -> None:
    _, returns = transformed(steps([-1, -1, 0], ends_in_success=True), AgentParams(gamma=GAMMA))
    assert returns == pytest.approx([-1 - 0.9, -1, 0])


def test_return_of_an_episode_of_failures_is_that_of_failing_for_ever() -> None:
    _, returns = transformed(steps([-1, -1, -1]), AgentParams(gamma=GAMMA))
    assert returns == pytest.approx([FAILS] * 3)


@pytest.mark.fault("L4")
def test_return_is_cut_where_observations_do_not_continue() -> None:
    broken = steps([-1, -1, -1, 0], follows=[True, False, True, False], ends_in_success=True)
    _, returns = transformed(broken, AgentParams(gamma=GAMMA))
    assert returns == pytest.approx([FAILS, FAILS, -1, 0])  # not -1.9 and so on across the gap


@pytest.mark.fault("L2")
def test_return_is_cut_at_a_step_whose_reward_is_unknown() -> None:
    whole = steps([-1, 0, -1, 0], ends_in_success=True)
    is_step = np.array([True, False, True, True])
    gap = Trajectory(**{**vars(whole), "is_step": is_step})
    reward, returns = transformed(gap, AgentParams(gamma=GAMMA))
    assert returns[[0, 2, 3]] == pytest.approx([FAILS, -1, 0])
    assert reward[1] == 0.0


def test_returns_are_of_transformed_rewards() -> None:
    params = AgentParams(gamma=GAMMA, reward_scale=10.0, reward_bias=5.0)
    reward, returns = transformed(steps([-1, 0], ends_in_success=True), params)
    assert reward == pytest.approx([-5, 5])
    assert returns == pytest.approx([-5 + 0.9 * 5, 5])
    _, failing = transformed(steps([-1, -1]), params)
    assert failing == pytest.approx([-5 / (1 - GAMMA)] * 2)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.floats(0.0, 0.99), st.randoms(use_true_random=False))
def test_returns_obey_their_recursion(goes_on: list[bool], gamma: float, random: object) -> None:
    goes_on[-1] = False
    rng = np.random.default_rng(len(goes_on))
    reward, terminated = rng.normal(size=len(goes_on)), rng.random(len(goes_on)) < 0.3
    found = mc_returns(reward, terminated, goes_on, gamma, failing=-2.0)
    for row, value in enumerate(found):
        total, weight, at = 0.0, 1.0, row
        while True:
            total += weight * reward[at]
            if terminated[at]:
                break
            if not goes_on[at]:
                total += weight * gamma * -2.0 / (1 - gamma)
                break
            weight, at = weight * gamma, at + 1
        assert value == pytest.approx(total, rel=1e-4, abs=1e-4)


def test_flat_arrays_are_cut_at_every_kind_of_end() -> None:
    seen = np.array([[0], [1], [2], [10], [11], [20]], np.float32)
    arrays = {
        "observations": seen,
        "next_observations": np.array([[1], [2], [3], [11], [12], [21]], np.float32),
        "actions": np.zeros((6, 1), np.float32),
        "rewards": np.array([-1, -1, 0, -1, -1, -1], np.float32),
        "terminals": np.array([0, 0, 1, 0, 0, 0]),
        "timeouts": np.zeros(6),
    }
    first, second, third = from_arrays(arrays, "here")
    assert first.state[:, 0].tolist() == [0, 1, 2] and first.terminated.tolist() == [False, False, True]
    assert second.state[:, 0].tolist() == [10, 11, 12]  # nobody said so, but 12 is not 20
    assert second.is_step.tolist() == [True, True, False] and second.follows.tolist() == [True, True, False]
    assert third.state[:, 0].tolist() == [20, 21]


def test_last_row_without_a_next_observation_has_none() -> None:
    arrays = {"observations": np.zeros((2, 1)), "actions": np.zeros((2, 1)), "rewards": np.zeros(2),
              "terminals": np.zeros(2)}  # fmt: skip
    (only,) = from_arrays(arrays, "here")
    assert only.follows.tolist() == [True, False] and only.is_step.all()
