"""Losses by hand, and by gradients in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from armtune_policies.learn import losses


def T(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.fault("L1")
def test_target_bootstraps_a_time_limit_and_not_a_success() -> None:
    target = losses.td_target(T(-1, 0), bootstrap=T(1, 0), next_value=T(-10, -10), gamma=0.9)
    assert target.tolist() == [-10.0, 0.0]


def test_target_is_at_least_what_the_episode_went_on_to_reach() -> None:
    reached = T(-5, -12)
    target = losses.td_target(T(-1, -1), bootstrap=T(1, 1), next_value=T(-10, -10), gamma=0.9, mc_return=reached)
    assert target.tolist() == [-5.0, -10.0]


def test_td_loss_sums_critics_and_averages_states() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert losses.td_loss(q, T(0, 0)).item() == pytest.approx((1 + 4) / 2 + (9 + 16) / 2)


def test_soft_value_is_the_lowest_critic_of_the_best_action() -> None:
    q = torch.tensor([[[1.0], [5.0]], [[2.0], [3.0]]])  # 2 critics, 2 actions, 1 state
    log_pi = torch.tensor([[0.1], [0.2]])
    assert losses.soft_value(q, log_pi, 0.0).tolist() == [3.0]  # min 1, 3; best is the second
    assert losses.soft_value(q, log_pi, 10.0).item() == pytest.approx(3.0 - 2.0)  # with its own density


def test_penalty_is_zero_when_q_is_flat_and_the_policy_uniform() -> None:
    flat, log_uniform = torch.full((1, 2, 1), 7.0), torch.full((2, 1), math.log(0.5))
    gap = losses.conservative_gap(torch.full((1, 1), 7.0), flat, flat, log_uniform, action_size=1)
    assert gap.item() == pytest.approx(math.log(4 * 2.0))  # four samples, each worth 1/0.5


def test_return_floors_policy_actions_and_not_random_ones() -> None:
    low = torch.full((1, 1, 1), -100.0)
    q_data, log_pi = torch.zeros(1, 1), torch.zeros(1, 1)
    plain = losses.conservative_gap(q_data, low, low, log_pi, 1)
    floored = losses.conservative_gap(q_data, low, low, log_pi, 1, mc_return=torch.tensor([-5.0]))
    assert plain.item() == pytest.approx(-100 + math.log(2.0 + 1.0))
    assert floored.item() == pytest.approx(-5.0, abs=1e-6)


def test_penalty_stops_pushing_policy_actions_below_the_return() -> None:
    q_policy = torch.full((1, 1, 1), -10.0, requires_grad=True)
    q_random = torch.full((1, 1, 1), -10.0, requires_grad=True)
    gap = losses.conservative_gap(torch.zeros(1, 1), q_random, q_policy, torch.zeros(1, 1), 1, torch.tensor([-5.0]))
    gap.backward()
    assert q_policy.grad is not None and q_policy.grad.item() == 0.0
    assert q_random.grad is not None and q_random.grad.item() > 0.0


def test_expectile_weighs_what_is_better_more() -> None:
    assert losses.expectile_loss(T(2, -2), 0.7).item() == pytest.approx((0.7 * 4 + 0.3 * 4) / 2)


def test_advantage_weights_are_capped_without_overflow() -> None:
    assert losses.advantage_weights(T(0, 1, 1e6), beta=2.0, most=100.0).tolist() == pytest.approx([1, math.exp(2), 100])


def test_actor_reads_the_ensemble_by_min_or_mean() -> None:
    q = torch.tensor([[1.0], [3.0]])
    assert losses.policy_q_loss(q, T(2), 0.5, "min").item() == pytest.approx(0.5 * 2 - 1)
    assert losses.policy_q_loss(q, T(2), 0.5, "mean").item() == pytest.approx(0.5 * 2 - 2)


def test_temperature_rises_while_entropy_is_short() -> None:
    log_alpha = torch.zeros((), requires_grad=True)
    losses.temperature_loss(log_alpha, log_pi=torch.tensor([5.0]), target_entropy=-1.0).backward()
    assert log_alpha.grad is not None and log_alpha.grad.item() == pytest.approx(-4.0)  # entropy -5 under target -1


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    q, q2 = (torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    data, target = torch.randn(2, 4, dtype=torch.float64, requires_grad=True), torch.randn(4, dtype=torch.float64)
    log_pi = torch.randn(3, 4, dtype=torch.float64)
    floor = torch.full((4,), 0.1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda d: losses.td_loss(d, target), data)
    assert torch.autograd.gradcheck(lambda d, a, b: losses.conservative_gap(d, a, b, log_pi, 3), (data, q, q2))
    assert torch.autograd.gradcheck(lambda d, a, b: losses.conservative_gap(d, a, b, log_pi, 3, floor), (data, q, q2))
    assert torch.autograd.gradcheck(lambda d: losses.expectile_loss(d[0], 0.8), data)
    assert torch.autograd.gradcheck(lambda d: losses.policy_q_loss(d, target, 0.3, "min"), data)
