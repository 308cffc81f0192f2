"""Each recipe learns a tiny real task within seconds; practice improves on what it starts from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from reacher import SHAPE, STEPS, Reacher, make, success

from armtune_policies.learn.agent import Agent
from armtune_policies.learn.finetune import Practice, PracticeParams
from armtune_policies.learn.pretrain import Pretraining
from armtune_policies.learn.replay import Replay

OFFLINE = [("bc", 600), ("calql", 200), ("cql", 1200), ("iql", 1200), ("td3bc", 600)]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def practise(agent: Agent, offline: Replay, steps: int, folder: Path | None = None, **more: object) -> Practice:
    params = PracticeParams(**{"steps": steps, "episode_steps": STEPS, "spread": 0.5, **more})
    return Practice(agent, offline, Replay(5000, SHAPE, agent.params), Reacher(), params, folder, "reacher")


@pytest.mark.parametrize(("recipe", "updates"), OFFLINE)
def test_recipe_learns_from_few_noisy_demonstrations_among_failures(recipe: str, updates: int) -> None:
    agent, replay = make(recipe)
    before = success(agent)
    Pretraining(agent, replay, updates).run()
    after = success(agent)
    assert before <= 0.1 and after >= 0.4, f"{recipe}: {before:.0%} to {after:.0%}"


def test_agent_learns_when_its_products_are_bfloat16() -> None:
    agent, replay = make("calql")
    agent.in_bf16 = True  # also where the processor only imitates it
    Pretraining(agent, replay, 200).run()
    assert success(agent) >= 0.4


@pytest.mark.parametrize(("recipe", "offline", "changes"), [
    ("rlpd", 0, {"utd": 2, "actor_every": 2}),
    ("wsrl", 100, {"utd": 2, "actor_every": 1, "cql_weight": 1.0}),
    ("calql", 60, {"utd": 1}),
])  # fmt: skip
def test_recipe_learns_in_practice(recipe: str, offline: int, changes: dict[str, float]) -> None:
    agent, replay = make(recipe, warmup_steps=100, **changes)
    Pretraining(agent, replay, offline).run()
    before = success(agent)
    counts = practise(agent, replay, 800).run()
    after = success(agent)
    assert counts.updates == agent.params.utd * (counts.steps - 100)
    assert after >= before + 0.1, f"{recipe}: {before:.0%} to {after:.0%}, {counts}"
