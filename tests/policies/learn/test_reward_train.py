from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dots import ACTION, BACK, GO, SPEC, episode

from armtune_policies.learn.export import About, export_reward
from armtune_policies.learn.reward_train import (
    RewardTrainParams,
    TrainedReward,
    errors,
    frames,
    temperature,
    train_reward,
)
from armtune_policies.reward.classifier import RewardModel

Embeddings = dict[str, np.ndarray]
PARAMS = RewardTrainParams(updates=150, batch=32, shift_px=1)


@pytest.fixture(scope="module")
def reward(embeddings: Embeddings) -> TrainedReward:
    episodes = [episode(s, GO if s % 2 else BACK, fails=s % 5 == 0) for s in range(30)]
    return train_reward(frames(episodes, SPEC, (GO, BACK), positive=2, dropped=1), embeddings, SPEC, PARAMS)


def test_a_trained_classifier_knows_success_in_the_runtime(
    reward: TrainedReward, embeddings: Embeddings, tmp_path: Path
) -> None:
    about = About("seen", ACTION, SPEC, embeddings, metrics=reward.metrics)
    manifest = export_reward(tmp_path / "r", reward.net, reward.threshold, about)
    model = RewardModel.load(tmp_path / "r", ACTION, SPEC)
    assert model.threshold == reward.threshold and manifest.metrics["parity_max_error"] <= 1e-5
    right = 0
    for seed in range(200, 220):
        one = episode(seed)
        first, last = (model.score({"front": one.images["front"][i]}, GO) for i in (0, -1))
        right += last > first
    assert right >= 16


def test_errors_are_told_per_frame_and_per_episode(reward: TrainedReward) -> None:
    for name in ("frame_precision", "frame_recall", "episode_false_stops", "episode_hits"):
        assert 0.0 <= reward.metrics[name] <= 1.0
    assert 0.3 <= reward.threshold <= 0.95


def test_the_last_frames_are_negative_for_the_other_sentence() -> None:
    data = frames([episode(1)], SPEC, (GO, BACK))
    assert (data.is_success[data.sentence == 0]).any() and not data.is_success[data.sentence == 1].any()


def test_training_is_refused_when_no_episode_fails_and_none_is_long_enough(embeddings: Embeddings) -> None:
    with pytest.raises(ValueError, match="success and failure frames, got 0"):
        train_reward(frames([episode(s, fails=True) for s in range(4)], SPEC, (GO, BACK)), embeddings, SPEC, PARAMS)


def test_a_classifier_that_is_too_sure_is_cooled_down() -> None:
    labels = np.array([True] * 10 + [False] * 10)
    logits = np.where(labels, 8.0, -8.0)
    logits[::5] *= -1
    assert temperature(logits, labels) > 3.0
    assert temperature(np.where(labels, 8.0, -8.0), labels) == 1.0


def test_one_bright_frame_in_a_failure_is_no_false_stop() -> None:
    data = frames([episode(5, fails=True)], SPEC, (GO, BACK))
    probabilities = np.zeros(len(data))
    probabilities[3] = 0.99
    assert errors(data, probabilities, 0.5, PARAMS)["episode_false_stops"] == 0.0
    probabilities[4] = 0.99
    assert errors(data, probabilities, 0.5, PARAMS)["episode_false_stops"] == 1.0
