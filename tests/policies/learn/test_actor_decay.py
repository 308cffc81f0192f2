"""The actor's decay: towards 0 before practice, in practice towards what that began with; nothing else decays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.agent import Agent
from armtune_policies.learn.settings import NAMES, recipe_params

sys.path.insert(0, str(Path(__file__).parent))

from tiny_agents import ACTION, VECTOR, batch, make


def weights(agent: Agent) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in agent.nets.state_dict().items()}


def decays(name: str, weight: torch.Tensor) -> bool:
    return name.startswith(("actor.", "actor_projection.")) and weight.ndim > 1 and not name.endswith("table")


@pytest.mark.parametrize("recipe", NAMES)
def test_decay_shrinks_the_actors_matrices_and_nothing_else(recipe: str) -> None:
    lr, decay = 1e-2, 5.0
    plain, decaying = (make(recipe, actor_lr=lr, actor_decay=by, actor_every=1) for by in (0.0, decay))
    before = weights(plain)
    for agent in (plain, decaying):
        agent.update(batch(0))
    ours = weights(decaying)
    for name, weight in weights(plain).items():
        assert torch.allclose(ours[name], weight - lr * decay * before[name] * decays(name, weight), atol=1e-7), name


@pytest.mark.parametrize("recipe", NAMES)
def test_in_practice_the_actor_decays_towards_what_practice_began_with(recipe: str) -> None:
    lr, decay = 1e-2, 5.0
    plain, decaying = (make(recipe, actor_lr=lr, actor_decay=by, actor_every=1) for by in (0.0, decay))
    begun = weights(plain)
    decaying.go_online()
    plain.go_online()
    plain.update(batch(0))
    decaying.update(batch(0))  # it is where it began: nothing pulls
    before = weights(decaying)
    assert all(torch.allclose(before[name], weight, atol=1e-7) for name, weight in weights(plain).items())
    resumed = make(recipe, actor_lr=lr, actor_decay=decay, actor_every=1)
    resumed.restore({name: t.clone() for name, t in decaying.state().items()})
    for agent in (plain, decaying, resumed):
        agent.update(batch(1))
    ours, theirs = weights(decaying), weights(resumed)
    for name, weight in weights(plain).items():
        pulled = lr * decay * (begun[name] - before[name]) * decays(name, weight)
        assert torch.allclose(ours[name], weight + pulled, atol=1e-6), name
        assert torch.equal(ours[name], theirs[name]), name


def test_practice_of_before_the_actor_kept_its_start_goes_on_from_its_weights() -> None:
    agent, older = make("calql", actor_decay=5.0), make("calql", actor_decay=5.0)
    agent.go_online()
    agent.update(batch(0))
    older.restore({name: t.clone() for name, t in agent.state().items() if not name.startswith("kept.")})
    ours, state = weights(agent), older.state()
    assert older.is_online and all(torch.equal(state[f"nets.{name}"], weight) for name, weight in ours.items())
    assert any(name.startswith("kept.") for name in state)


def test_an_actor_that_decays_learns_what_was_meant_and_not_how_the_demonstrator_trembled() -> None:
    rng = np.random.default_rng(0)
    meant = rng.normal(size=(VECTOR, ACTION)) / np.sqrt(VECTOR)
    state = rng.normal(size=(700, VECTOR)).astype(np.float32)
    clean = np.tanh(state @ meant).astype(np.float32)
    shown = np.clip(clean + 0.3 * rng.normal(size=clean.shape), -1, 1).astype(np.float32)

    def off(decay: float) -> float:
        """Train on the first 200 rows; return how far off [rms] it is in the others."""
        agent = make("bc", actor_decay=decay, hidden=(64, 64), projection=64)
        for _ in range(3000):
            rows = rng.integers(200, size=64)
            seen = Seen(torch.from_numpy(state[rows]), torch.zeros(64, dtype=torch.int64))
            one = batch(0, rows=64)._replace(
                seen=seen,
                action=torch.from_numpy(shown[rows]),
                expert=torch.from_numpy(shown[rows]),
                imitate=torch.ones(64),
            )
            agent.update(one)
        new = Seen(torch.from_numpy(state[200:]), torch.zeros(500, dtype=torch.int64))
        return float(np.sqrt(np.mean((agent.act(new).numpy() - clean[200:]) ** 2)))

    by_heart, decaying = off(0.0), off(recipe_params("bc").actor_decay)
    assert decaying < 0.7 * by_heart, (decaying, by_heart)
