from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.reward.neighbours import Neighbours, frozen_features
from fixtures.tiny_models import ACTION, OBSERVATION, tiny_policy

OPEN, CLOSE = "open the drawer", "close the drawer"


def colours(images: Sequence[Tensor]) -> Tensor:
    return images[0].float().mean(dim=(1, 2)) / 255.0


def frames(count: int, red: int, seed: int) -> Tensor:
    """Pictures of one red, a little different each."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 110, (count, 8, 8, 3), dtype=np.uint8)
    images[..., 0] = red + rng.integers(-10, 10, (count, 1, 1))
    return torch.from_numpy(images)


@pytest.fixture
def judge() -> Neighbours:
    """Red is open, dark is closed."""
    made = Neighbours(colours)
    images = torch.cat([frames(20, 220, 0), frames(20, 30, 1)])
    questions = [OPEN] * 40 + [CLOSE] * 40
    made.remember([torch.cat([images, images])], questions, ([True] * 20 + [False] * 20) + ([False] * 20 + [True] * 20))
    return made


def test_pictures_are_told_apart_by_their_nearest_neighbour(judge: Neighbours) -> None:
    images = torch.cat([frames(10, 220, 2), frames(10, 30, 3)])
    is_open = np.array([True] * 10 + [False] * 10)
    assert ((judge.logits([images], [OPEN] * 20) > 0).numpy() == is_open).all()
    assert ((judge.logits([images], [CLOSE] * 20) < 0).numpy() == is_open).all()
    assert list(judge.trainable()) == []


def test_what_is_like_no_success_is_none_when_nothing_else_is_known() -> None:
    judge = Neighbours(colours)
    judge.remember([frames(50, 220, 0)], [OPEN] * 50, [True] * 50)
    near, far = judge.logits([frames(40, 220, 1)], [OPEN] * 40), judge.logits([frames(40, 30, 2)], [OPEN] * 40)
    assert float((near > 0).float().mean()) > 0.5 and bool((far < -10).all())


def test_a_sentence_without_frames_is_refused(judge: Neighbours) -> None:
    with pytest.raises(ValueError, match="no frames of 'lift the lid' are remembered"):
        judge.logits([frames(1, 0, 0)], ["lift the lid"])
    with pytest.raises(ValueError, match="expected two or more frames of success, got 1"):
        judge.remember([frames(3, 0, 0)], [OPEN] * 3, [True, False, False])


def test_a_frozen_encoders_folder_gives_the_features(tmp_path: Path) -> None:
    encoder = FrozenEncoder(tiny_policy(tmp_path / "policy"), ACTION, OBSERVATION)
    judge = Neighbours(frozen_features(encoder, OBSERVATION))
    rng = np.random.default_rng(0)
    bright, dark = (torch.from_numpy(rng.integers(low, low + 40, (6, 96, 96, 3), dtype=np.uint8)) for low in (200, 0))
    judge.remember([torch.cat([bright, dark])], [OPEN] * 12, [True] * 6 + [False] * 6)
    assert bool((judge.logits([bright], [OPEN] * 6) > 0).all()) and bool((judge.logits([dark], [OPEN] * 6) < 0).all())
