"""Recipes: what one method changes of the one agent, as three small functions each.

=======  =================  ==============  ==================  ==================================
recipe   V(s') of target    critic penalty  actor               source
=======  =================  ==============  ==================  ==================================
bc       (no critics)                       cloning             Pomerleau 1989
cql      soft               cql             policy Q + cloning  Kumar et al. 2020
calql    soft               calql           policy Q + cloning  Nakamoto et al. 2023
iql      V, by expectile    expectile       AWR                 Kostrikov et al. 2021
rlpd     soft               none            policy Q            Ball et al. 2023
wsrl     soft               calql, offline  policy Q            Zhou et al. 2024
td3bc    smoothed           none            policy Q + cloning  Fujimoto and Gu 2021
=======  =================  ==============  ==================  ==================================

The rest (ensemble, replay mix, warm-up, what a switch to online practice does) are numbers in
``AgentParams``; ``configs/learner/agent/<recipe>.yaml`` has each paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from . import losses
from .actor_critic import log_density, sample
from .context import Context


@dataclass(frozen=True)
class Recipe:
    """Three hooks of the update; each gets the same ``Context``.

    ``next_value`` is V(s') (B,) for the TD target, None where there is nothing to value;
    ``penalty`` holds what is added to the TD loss; ``actor`` is the actor's loss.
    """

    next_value: Callable[[Context], Tensor] | None
    penalty: Callable[[Context], Mapping[str, Tensor]]
    actor: Callable[[Context], Tensor]
    samples: bool = False
    """Whether the penalty samples actions."""
    has_value: bool = False


def soft(c: Context) -> Tensor:
    """V(s') of fresh policy actions: the best of K with ``max_target_backup``, else one."""
    count = len(c.draws.next) if c.params.max_target_backup else 1
    action, log_pi = c.next_actions
    q = c.targets.critics(c.z_next_target, action[:count], c.draws.subset)
    return losses.soft_value(q, log_pi[:count], c.alpha if c.params.entropy_backup else 0.0)


def of_value_net(c: Context) -> Tensor:
    return c.nets.value(c.z_next)[0, 0]


def smoothed(c: Context) -> Tensor:
    """V(s') of the target actor's action, shaken within bounds (TD3)."""
    noise = (c.params.smoothing * c.draws.next[:1]).clamp(-c.params.smoothing_clip, c.params.smoothing_clip)
    action = (torch.tanh(c.targets.policy(c.next_seen_target)[0]) + noise).clamp(-1.0, 1.0)
    return c.targets.critics(c.z_next_target, action, c.draws.subset).min(dim=0).values[0]


def no_penalty(c: Context) -> dict[str, Tensor]:
    return {}


def cql(c: Context) -> dict[str, Tensor]:
    return {"conservative": _conservative(c, None)}


def calql(c: Context) -> dict[str, Tensor]:
    return {"conservative": _conservative(c, c.batch.mc_return)}


def _conservative(c: Context, mc_return: Tensor | None) -> Tensor:
    here, next_ = c.current_actions, c.next_actions
    count = len(c.draws.random)
    everything = torch.cat([c.draws.random, here[0], next_[0]])
    q = c.nets.critics(c.z, everything)
    log_policy = torch.cat([here[1], next_[1]])
    size = everything.shape[2]
    gap = losses.conservative_gap(c.q_data, q[:, :count], q[:, count:], log_policy, size, mc_return)
    return c.params.cql_weight * gap


def expectile(c: Context) -> dict[str, Tensor]:
    """IQL's loss of V, beside the TD loss of Q."""
    return {"value": losses.expectile_loss(c.q_target_data - c.nets.value(c.z)[0, 0], c.params.expectile)}


def cloning(c: Context) -> Tensor:
    """Squared error of the policy's mean, where what was done is worth imitating.

    Not its log density: a Gaussian that may widen where it errs hardly learns there any more (Seitzer et al. 2022,
    2203.09168); docs/results.md says what it cost.
    """
    return c.mean_imitated((torch.tanh(c.policy[0]) - c.batch.expert).square().mean(dim=1))


def advantage_weighted(c: Context) -> Tensor:
    """AWR: imitate more what was better than V."""
    advantage = (c.q_target_data - c.nets.value(c.z)[0, 0]).detach()
    weight = losses.advantage_weights(advantage, c.params.awr_beta, c.params.awr_most)
    return -(weight * log_density(*c.policy, c.batch.action)).mean()


def policy_q(c: Context) -> Tensor:
    """The policy's own action valued by the critics, and a cloning term of like magnitude."""
    mean, log_std = c.policy
    action, c.log_pi = sample(mean, log_std, c.draws.current[:1])
    q = c.nets.critics(c.z.detach(), action, fixed=True)[:, 0]
    return c.beside_cloning(losses.policy_q_loss(q, c.log_pi[0], c.alpha, c.params.actor_q), q, torch.tanh(mean))


def deterministic_q(c: Context) -> Tensor:
    """The same for the mean action alone (TD3)."""
    action = torch.tanh(c.policy[0])
    q = c.nets.critics(c.z.detach(), action[None], fixed=True)[:, 0]
    return c.beside_cloning(losses.policy_q_loss(q, q.new_zeros(()), 0.0, c.params.actor_q), q, action)


RECIPES: Mapping[str, Recipe] = {
    "bc": Recipe(None, no_penalty, cloning),
    "calql": Recipe(soft, calql, policy_q, samples=True),
    "cql": Recipe(soft, cql, policy_q, samples=True),
    "iql": Recipe(of_value_net, expectile, advantage_weighted, has_value=True),
    "rlpd": Recipe(soft, no_penalty, policy_q),
    "wsrl": Recipe(soft, calql, policy_q, samples=True),
    "td3bc": Recipe(smoothed, no_penalty, deterministic_q),
}
