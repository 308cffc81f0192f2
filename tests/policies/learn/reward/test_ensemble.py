"""Several students that learn apart and answer together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from dots import ACTION, BACK, GO, SPEC, episode
from safetensors.torch import load
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from armtune_policies.learn.export import About, weights
from armtune_policies.learn.networks import seed_everything
from armtune_policies.learn.reward.ensemble import Ensemble, apart, restored, students
from armtune_policies.learn.reward.export import export_judge
from armtune_policies.learn.reward.fit import FitParams, fit, split
from armtune_policies.learn.reward.judge import Asked
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.gather import LabelParams, by_rule

Embeddings = dict[str, np.ndarray]


def shown(embeddings: Embeddings, count: int = 8) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(episode(1).images["front"][:count])
    said = torch.from_numpy(np.stack([embeddings[GO]] * len(images)))
    return [images], said, (torch.arange(len(images)) % 2).float()


def test_an_ensemble_answers_by_the_mean_of_its_members_and_sees_as_the_first(embeddings: Embeddings) -> None:
    seed_everything(0)
    net = students(SPEC, 3).eval()
    assert isinstance(net, Ensemble)
    images, said, _ = shown(embeddings)
    with torch.no_grad():
        alone = torch.stack([member.logits(images, said) for member in net.members])  # type: ignore[operator]
        logits, looks = net.both(images, said)
        assert alone.std(dim=0).max() > 0.01, "the members are one and the same"
        assert torch.allclose(logits, alone.mean(dim=0)) and torch.allclose(net.logits(images, said), logits)
        assert torch.equal(looks, net.members[0].look(images)) and torch.equal(net.look(images), looks)  # type: ignore[operator]


def test_members_learn_apart_as_each_would_alone(embeddings: Embeddings) -> None:
    seed_everything(0)
    net = students(SPEC, 2)
    assert isinstance(net, Ensemble)
    images, said, wanted = shown(embeddings)
    logits = apart(net, images, said)
    bce(logits, wanted.expand_as(logits)).backward()
    for member in net.members:
        together = [weight.grad.clone() for weight in member.parameters() if weight.grad is not None]
        member.zero_grad()
        bce(apart(member, images, said)[0], wanted).backward()
        apart_ = [weight.grad for weight in member.parameters() if weight.grad is not None]
        assert len(together) == len(apart_) > 10
        assert all(torch.allclose(2 * mine, own, atol=1e-6) for mine, own in zip(together, apart_))


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_trained_comes_back_from_its_weights(embeddings: Embeddings, count: int) -> None:
    net = students(SPEC, count).eval()
    again = restored(SPEC, load(weights(net))).eval()
    images, said, _ = shown(embeddings)
    with torch.no_grad():
        assert torch.equal(again.logits(images, said), net.logits(images, said))  # type: ignore[operator]


def test_an_ensemble_is_trained_and_served_as_one_graph(embeddings: Embeddings, tmp_path: Path) -> None:
    episodes = [episode(s, GO if s % 2 else BACK, fails=s % 5 == 0) for s in range(20)]
    rule = LabelParams(positive=2, dropped=1, begun=0)
    parts = split(by_rule(episodes, (GO, BACK), SPEC.cameras, rule, {GO: BACK, BACK: GO}), 0.2, 0)
    seed_everything(0)
    net, params = students(SPEC, 2), FitParams(updates=12, batch=16, shift_px=1, mine_from=0.2, members=2)
    begun = [weight.detach().clone() for weight in net.parameters()]
    fitted = fit(Asked(net, embeddings), *parts, params)
    assert all(not torch.equal(a, b) for a, b in zip(begun, net.parameters()) if a.ndim > 1)
    export_judge(tmp_path, fitted.served, fitted.limits, About("dots-success", ACTION, SPEC, embeddings))
    model = RewardModel.load(tmp_path, ACTION, SPEC)
    held = parts[1]
    asked = [held.questions[q] for q in held.question]
    assert np.allclose(model.score_many(held.pictures(np.arange(len(held))), asked).probability, fitted.p, atol=1e-3)
