"""An exported network over images does on the arm what it does in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from dots import ACTION, BACK, GO

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.export import About
from armtune_policies.learn.pixel_export import export_pixels, frame_of
from armtune_policies.learn.scaling import ActionScale
from armtune_policies.learn.settings import AgentParams
from armtune_policies.runtime.policy import Policy

SEEN = ObservationSpec(cameras=("front", "wrist"), height_px=40, width_px=44)
Embeddings = dict[str, np.ndarray]


def made(kind: str, embeddings: Embeddings, seen: ObservationSpec) -> Agent:
    table = torch.from_numpy(np.stack(list(embeddings.values())))
    agent = Agent(Layout(7, 7, table, frame_of(seen), decided=(6,)), AgentParams(hidden=(64, 64), pixels=kind), seed=3)
    with torch.no_grad():  # an actor that uses its whole range
        agent.targets.actor.out.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    agent.set_scale(torch.linspace(-0.5, 0.5, 7), torch.full((7,), 0.5))
    return agent


@pytest.mark.parametrize("kind", ["small", "drq"])
def test_the_runtime_proposes_what_the_agent_acts(kind: str, embeddings: Embeddings, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    agent = made(kind, embeddings, SEEN)
    manifest = export_pixels(tmp_path, agent, About("a", ACTION, SEEN, embeddings))
    assert manifest.metrics["parity_max_error"] <= 1e-5 and manifest.metrics["parity_observations"] == 1000
    assert (tmp_path / "head.onnx").stat().st_size < 400_000  # no network over images in it
    policy, rng = Policy.load(tmp_path, ACTION, SEEN), np.random.default_rng(5)
    for index, sentence in enumerate((GO, BACK)):
        images = {camera: rng.integers(0, 256, (40, 44, 3), dtype=np.uint8) for camera in SEEN.cameras}
        state = rng.normal(size=7).astype(np.float32)
        both = torch.from_numpy(np.concatenate(list(images.values()), axis=2))
        acted = agent.act(Seen(torch.from_numpy(state[None]), torch.tensor([index]), both[None]))[0].numpy()
        proposed = policy.propose(policy.features(images), state, sentence)
        np.testing.assert_allclose(proposed, ActionScale(ACTION).to_physical(acted), atol=1e-5)


def test_an_agent_that_sees_something_else_is_not_exported(embeddings: Embeddings, tmp_path: Path) -> None:
    agent = made("small", embeddings, ObservationSpec(height_px=36, width_px=36))
    with pytest.raises(ValueError, match=r"agent: expected one that learnt from images of .*height_px=40"):
        export_pixels(tmp_path / "a", agent, About("a", ACTION, SEEN, embeddings))
    assert not (tmp_path / "a").exists()
