"""An exported actor does on the arm what the agent does in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dots import ACTION, BACK, GO, SPEC, episode

from armtune_policies.contract import Verdict
from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.actor_export import export_actor
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.episodes import as_trajectory
from armtune_policies.learn.export import About
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.scaling import ActionScale
from armtune_policies.learn.settings import AgentParams
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import load_manifest

Embeddings = dict[str, np.ndarray]


@pytest.fixture
def encoder(policy_folder: Path) -> FrozenEncoder:
    torch.set_num_threads(1)
    return FrozenEncoder(policy_folder, ACTION, SPEC)


def made(encoder: FrozenEncoder, sentences: torch.Tensor | None) -> Agent:
    agent = Agent(Layout(encoder.feature_size + 7, 7, sentences, decided=(6,)), AgentParams(hidden=(64, 64)), seed=3)
    with torch.no_grad():  # an actor that uses its whole range
        agent.targets.actor.out.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    agent.set_scale(torch.linspace(-0.5, 0.5, encoder.feature_size + 7), torch.full((encoder.feature_size + 7,), 0.5))
    return agent


def test_the_runtime_proposes_what_the_agent_acts(
    encoder: FrozenEncoder, embeddings: Embeddings, policy_folder: Path, tmp_path: Path
) -> None:
    agent = made(encoder, torch.from_numpy(np.stack(list(embeddings.values()))))
    manifest = export_actor(tmp_path / "a", agent, encoder, About("a", ACTION, SPEC, embeddings))
    assert manifest.metrics["parity_max_error"] <= 1e-5 and manifest.metrics["parity_observations"] == 1000
    assert manifest.encoder_digest == load_manifest(policy_folder).encoder_digest
    policy, rng = Policy.load(tmp_path / "a", ACTION, SPEC), np.random.default_rng(5)
    scale, seen_ends = ActionScale(ACTION), 0.0
    for index, sentence in enumerate((GO, BACK)):
        image, state = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), rng.normal(size=7).astype(np.float32)
        features = policy.features({"front": image})
        np.testing.assert_allclose(features, encoder.features({"front": image[None]})[0], atol=1e-6)
        vector = torch.from_numpy(np.concatenate([features, state])[None])
        acted = agent.act(Seen(vector, torch.tensor([index])))[0].numpy()
        proposed = policy.propose(features, state, sentence)
        np.testing.assert_allclose(proposed, scale.to_physical(acted), atol=1e-5)
        np.testing.assert_allclose(scale.to_unit(proposed), acted, atol=1e-3)
        seen_ends = max(seen_ends, float(np.abs(acted).max()))
    assert seen_ends > 0.5


def test_what_the_replay_calls_an_action_is_what_the_head_would_propose_it_as() -> None:
    one = episode(1, GO)
    one = replace(one, verdicts=np.full(one.steps, Verdict.NO, np.uint8))
    rows = as_trajectory(one, ACTION, (GO, BACK), "", features=np.zeros((one.steps, 1), np.float32))
    assert len(rows) == one.steps
    np.testing.assert_allclose(ActionScale(ACTION).to_physical(rows.action), one.allowed, atol=1e-6)


@pytest.mark.fault("L7")
def test_an_agent_that_does_not_fit_is_not_exported(
    encoder: FrozenEncoder, embeddings: Embeddings, tmp_path: Path
) -> None:
    about = About("a", ACTION, SPEC, embeddings)
    with pytest.raises(ValueError, match="an agent without sentences"):
        export_actor(tmp_path / "a", made(encoder, None), encoder, about)
    other = Agent(Layout(5, 7), AgentParams(hidden=(8,)))
    with pytest.raises(ValueError, match="agent: expected one that sees 71 numbers, got 5"):
        export_actor(tmp_path / "a", other, encoder, about)
    assert not (tmp_path / "a").exists()
