"""Rewards and Monte-Carlo returns, after the reward transform: Cal-QL's floor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .settings import AgentParams
from .trajectory import Trajectory

Floats = npt.NDArray[np.float32]


def transformed(trajectory: Trajectory, params: AgentParams) -> tuple[Floats, Floats]:
    """Return rewards and Monte-Carlo returns, (R,) each, both after ``scale * r + bias``.

    A shift of rewards moves returns by ``bias / (1 - gamma)``: a floor computed before it is no floor.
    """
    reward = params.reward_scale * trajectory.reward + params.reward_bias
    failing = params.reward_scale * params.failure_reward + params.reward_bias
    goes_on = trajectory.follows & np.append(trajectory.is_step[1:], False)
    returns = mc_returns(reward, trajectory.terminated, goes_on, params.gamma, failing)
    return np.where(trajectory.is_step, reward, 0).astype(np.float32), returns


def mc_returns(
    reward: npt.ArrayLike, terminated: npt.ArrayLike, goes_on: npt.ArrayLike, gamma: float, failing: float
) -> Floats:
    """Return discounted sums to the end of what is known, float32 (R,).

    A row that ends in success ends the sum. Where rows do not go on (a time limit, a gap), the
    sum is cut and ends in failing for ever, ``failing / (1 - gamma)``: the lowest value there is,
    so the return stays a floor. An episode of failing steps thus gets ``r / (1 - gamma)`` throughout.

    Args:
        reward: (R,), transformed.
        terminated: (R,): successes.
        goes_on: (R,): whether the next row continues this one and its own return counts.
        gamma: Discount.
        failing: Transformed reward of a failing step.
    """
    reward, terminated = np.asarray(reward, np.float64), np.asarray(terminated, bool)
    goes_on = np.asarray(goes_on, bool)
    returns = np.empty(len(reward))
    tail = failing / (1.0 - gamma)
    for row in range(len(reward) - 1, -1, -1):
        after = 0.0 if terminated[row] else returns[row + 1] if goes_on[row] else tail
        returns[row] = reward[row] + gamma * after
    return returns.astype(np.float32)
