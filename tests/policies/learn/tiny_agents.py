"""A small agent of any recipe and batches of made-up rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.context import Batch
from armtune_policies.learn.settings import recipe_params

ROWS, VECTOR, ACTION, SENTENCE = 5, 6, 3, 4
SMALL: dict[str, Any] = {"hidden": (8, 7), "projection": 5, "cql_actions": 3, "critics": 3, "target_subset": 2}


def make(recipe: str, **changes: Any) -> Agent:
    """A small agent whose targets differ from its networks."""
    table = torch.randn(2, SENTENCE, generator=torch.Generator().manual_seed(0))
    agent = Agent(Layout(VECTOR, ACTION, table), recipe_params(recipe, **{**SMALL, **changes}), seed=3)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for nets in (agent.nets, agent.targets):
            for weight in nets.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    agent.set_scale(torch.full((VECTOR,), 0.2), torch.full((VECTOR,), 1.5))
    return agent


def batch(seed: int = 0, rows: int = ROWS, dtype: torch.dtype = torch.float32) -> Batch:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g).to(dtype)

    def seen() -> Seen:
        return Seen(normal(rows, VECTOR), torch.randint(2, (rows,), generator=g))

    bootstrap = (torch.arange(rows) != 1).to(dtype)
    imitate = (torch.arange(rows) % 2 == 0).to(dtype)
    action = torch.tanh(normal(rows, ACTION))
    action[0, 0] = 1.0  # at the bound, as a shut gripper is
    expert = torch.where((torch.arange(rows) % 4 == 0)[:, None], torch.tanh(normal(rows, ACTION)), action)
    return Batch(seen(), action, normal(rows), bootstrap, seen(), normal(rows), imitate, expert)
