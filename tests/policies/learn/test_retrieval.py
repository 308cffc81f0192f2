"""Planted episodes that look and act like the target's rank before those that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.learn.retrieval import scores
from armtune_policies.learn.trajectory import BadData, Trajectory


def made(rng: np.random.Generator, features: np.ndarray, action: np.ndarray, rows: int = 12) -> Trajectory:
    """Rows around a place in feature space and an action."""
    seen = features + 0.3 * rng.normal(size=(rows, len(features)))
    done = np.clip(action + 0.1 * rng.normal(size=(rows, len(action))), -1, 1)
    return Trajectory(
        "made", seen.astype(np.float32), np.zeros((rows, 7), np.float32), done.astype(np.float32),
        np.full(rows, -1, np.float32), np.zeros(rows, bool), np.arange(rows) < rows - 1, np.arange(rows) < rows - 1,
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(["features", "action"]), size=st.integers(4, 48))
def test_planted_relevant_episodes_rank_first(seed: int, kind: str, size: int) -> None:
    rng = np.random.default_rng(seed)
    place, act = rng.normal(size=size), rng.uniform(-0.5, 0.5, 4)
    target = [made(rng, place, act) for _ in range(3)]
    other = [made(rng, place + 3.0, act) if kind == "features" else made(rng, place, -np.sign(act)) for _ in range(6)]
    like = [made(rng, place, act) for _ in range(6)]
    mixed = [one for pair in zip(other, like) for one in pair]
    found = np.array(scores(mixed, target))
    assert found[1::2].min() > found[0::2].max() and found.min() >= 0.0 and found.max() <= 1.0


def test_the_target_itself_is_most_similar_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    target = [made(rng, np.zeros(5), np.zeros(2)) for _ in range(2)]
    prior = [made(rng, np.full(5, float(i)), np.zeros(2)) for i in range(4)] + target[:1]
    found = scores(prior, target)
    assert found[-1] == max(found) and scores(prior[::-1], target)[::-1] == pytest.approx(found, abs=1e-5)


def test_other_sizes_and_nothing_are_refused() -> None:
    rng = np.random.default_rng(0)
    one, other = made(rng, np.zeros(5), np.zeros(2)), made(rng, np.zeros(4), np.zeros(2))
    with pytest.raises(BadData, match="made: features: expected 5 numbers a row, got 4"):
        scores([other], [one])
    with pytest.raises(BadData, match="episodes: expected prior and target ones, got 0 and 1"):
        scores([], [one])
