from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from armtune_policies.learn.loop import Progress
from armtune_policies.learn.reward.preferences import Pairs, PreferenceParams, judge_pairs, train_preferences

PARAMS = PreferenceParams(pairs=2000, updates=300)


class Brightness:
    """A judge that finds the brighter picture more open, with a noise of its own."""

    def __init__(self, noise: float = 0.0) -> None:
        self._noise, self._rng = noise, np.random.default_rng(0)

    def logits(self, images: Sequence[Tensor], questions: Sequence[str]) -> Tensor:
        grey = images[0].float().mean(dim=(1, 2, 3)) / 25.5
        return grey + self._noise * torch.from_numpy(self._rng.normal(size=len(questions))).float()

    def trainable(self) -> Iterable[nn.Parameter]:
        return ()


def world(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (count, 8), and a progress (count,) that is no linear function of them."""
    features = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return features, features[:, 0] + 0.5 * np.abs(features[:, 1])


def test_a_known_ordering_is_recovered_though_one_answer_in_ten_is_wrong() -> None:
    features, progress = world(400, 0)
    rng = np.random.default_rng(1)
    first, second = rng.integers(400, size=(2, 3000))
    answers = (progress[first] > progress[second]) ^ (rng.random(3000) < 0.1)
    net = train_preferences(features, Pairs(first, second, answers), replace(PARAMS, updates=500))
    fresh, truth = world(300, 2)
    score, disagreement = net.score(torch.from_numpy(fresh))
    assert spearmanr(score.numpy(), truth).statistic > 0.9
    assert bool((disagreement > 0).any()) and bool((score.abs() <= 1.0).all())


def test_a_judges_comparisons_make_its_order_learnable() -> None:
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 256, 100)
    images = torch.from_numpy(np.broadcast_to(grey[:, None, None, None], (100, 8, 8, 3)).astype(np.uint8).copy())
    pairs = judge_pairs(Brightness(noise=0.3), [images], "open the drawer", PARAMS, seed=4)
    unclear = np.abs(grey[pairs.first] - grey[pairs.second]) < 2
    assert 0 < len(pairs) < PARAMS.pairs and unclear.mean() < 0.05
    features = np.stack([np.sin(grey / 50), np.cos(grey / 50), grey / 255], axis=1).astype(np.float32)
    net = train_preferences(features, pairs, PARAMS)
    assert spearmanr(net.score(torch.from_numpy(features))[0].numpy(), grey).statistic > 0.9


def test_the_same_seed_learns_the_same() -> None:
    features, progress = world(50, 0)
    first, second = np.random.default_rng(1).integers(50, size=(2, 200))
    pairs, few = Pairs(first, second, progress[first] > progress[second]), replace(PARAMS, updates=20)
    scores = [train_preferences(features, pairs, few, seed).score(torch.from_numpy(features))[0] for seed in (0, 0, 1)]
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])


def test_a_judge_that_tells_nothing_apart_teaches_nothing() -> None:
    images = [torch.zeros((10, 8, 8, 3), dtype=torch.uint8)]
    pairs = judge_pairs(Brightness(), images, "open the drawer", PARAMS)
    assert len(pairs) == 0
    with pytest.raises(ValueError, match="no pair has a clear answer"):
        train_preferences(np.zeros((10, 3), np.float32), pairs, PARAMS)
    with pytest.raises(ValueError, match="two or more frames"):
        judge_pairs(Brightness(), [images[0][:1]], "open the drawer", PARAMS)


def test_a_checkpoint_of_other_answers_is_refused(tmp_path: Path) -> None:
    features, progress = world(40, 0)
    first, second = np.random.default_rng(1).integers(40, size=(2, 50))
    params, is_first = replace(PARAMS, updates=10), progress[first] > progress[second]

    def stop(at: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_preferences(features, Pairs(first, second, is_first), params, checkpoint=tmp_path / "c", on_progress=stop)
    for other, pairs in ((features, Pairs(first, second, ~is_first)), (features + 1, Pairs(first, second, is_first))):
        with pytest.raises(ValueError, match="same data and settings"):
            train_preferences(other, pairs, params, checkpoint=tmp_path / "c")
