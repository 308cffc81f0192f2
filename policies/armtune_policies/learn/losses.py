"""Every loss of every recipe, as functions of tensors: no networks, no random numbers, no state.

Shapes: N critics, K actions at each of B states, A numbers an action. Each function is checked
against a slow loop in float64 (`tests/policies/learn/slow_losses.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def td_target(
    reward: Tensor, bootstrap: Tensor, next_value: Tensor, gamma: float, mc_return: Tensor | None = None
) -> Tensor:
    """Return ``r + gamma * bootstrap * V(s')``, (B,). ``bootstrap`` is 0 at a success, 1 elsewhere, time limits too.

    With ``mc_return`` (B,) it is at least what the episode went on to reach: MCAC (Wilcox et al. 2022, eq. 4.2).
    """
    target = reward + gamma * bootstrap * next_value
    return target if mc_return is None else torch.maximum(target, mc_return)


def td_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the squared TD error of Q (N, B) against a target (B,), summed over critics, mean over states."""
    return (q - target).square().mean(dim=1).sum()


def soft_value(q: Tensor, log_pi: Tensor, alpha: Tensor | float) -> Tensor:
    """Return V(s') (B,) of the target critics asked, Q (M, K, B), for K policy actions with log pi (K, B).

    The minimum over critics (RLPD: over a random subset), then, where K > 1, the best of the K
    actions: Cal-QL's and CQL's ``max_target_backup``. ``alpha`` 0 leaves the entropy out.
    """
    lowest = q.min(dim=0).values
    best = lowest.max(dim=0, keepdim=True)
    return (best.values - alpha * log_pi.gather(0, best.indices)).squeeze(0)


def conservative_gap(
    q_data: Tensor,
    q_random: Tensor,
    q_policy: Tensor,
    log_policy: Tensor,
    action_size: int,
    mc_return: Tensor | None = None,
) -> Tensor:
    """Return CQL(H)'s penalty before its weight: logsumexp over sampled actions of Q, minus Q of the data.

    Each sample counts by its own density, ``logsumexp(Q - log mu)`` (Kumar et al. 2020, appendix F):
    uniform actions have density ``0.5^A``. With ``mc_return`` it is Cal-QL's (Nakamoto et al. 2023):
    policy actions count at least the return of the behaviour that made the data; random
    actions and the data's own do not.

    Args:
        q_data: (N, B).
        q_random: (N, K, B), of uniform actions.
        q_policy: (N, P, B), of actions of the policy at s and at s', all valued at s.
        log_policy: (P, B), their log densities where they were drawn.
        action_size: A.
        mc_return: (B,), or None for CQL.

    Returns:
        A scalar: summed over critics, mean over states.
    """
    if mc_return is not None:
        q_policy = torch.maximum(q_policy, mc_return)
    corrected = torch.cat([q_random - action_size * math.log(0.5), q_policy - log_policy], dim=1)
    return (torch.logsumexp(corrected, dim=1) - q_data).mean(dim=1).sum()


def expectile_loss(gap: Tensor, expectile: float) -> Tensor:
    """Return IQL's loss of V for ``gap = Q - V`` (B,): ``|tau - 1(gap < 0)| gap^2`` (Kostrikov et al. 2021, eq. 5)."""
    weight = torch.where(gap < 0, 1.0 - expectile, expectile)
    return (weight * gap.square()).mean()


def advantage_weights(advantage: Tensor, beta: float, most: float) -> Tensor:
    """Return ``min(exp(beta A), most)`` (B,): how much IQL's actor imitates each action."""
    return torch.exp(torch.clamp(beta * advantage, max=math.log(most)))


def policy_q_loss(q: Tensor, log_pi: Tensor, alpha: Tensor | float, reduce: str) -> Tensor:
    """Return ``mean(alpha log pi - Q)`` of the policy's action; Q (N, B) by its ``min`` or ``mean`` over critics."""
    value = q.min(dim=0).values if reduce == "min" else q.mean(dim=0)
    return (alpha * log_pi - value).mean()


def temperature_loss(log_alpha: Tensor, log_pi: Tensor, target_entropy: float) -> Tensor:
    """Return the loss that raises alpha while the entropy is below its target (Haarnoja et al. 2018, eq. 18)."""
    return -log_alpha.exp() * (log_pi.detach().mean() + target_entropy)
