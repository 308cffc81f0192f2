from __future__ import annotations

import numpy as np
import torch
from dots import ACTION, GO, SPEC, episode

from armtune_policies.learn.data import Transitions, transitions
from armtune_policies.learn.hindsight import HindsightLoss, places


def grasping() -> Transitions:
    """Two equal episodes; the gripper shuts in row 2 and opens again in row 4."""
    data = transitions([episode(seed, noise=0.0) for seed in (4, 4)], ACTION, SPEC, (GO,))
    data = data.rows(np.concatenate([np.flatnonzero(data.episode == e)[:1].repeat(6) for e in (0, 1)]))
    data.state[:, 0] = np.arange(12) / 100
    data.action[:, -1] = [1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    return data


def test_rows_know_where_the_gripper_will_shut_and_then_open() -> None:
    found = places(grasping())
    np.testing.assert_allclose(found[:3, 0], 0.02)
    assert np.isnan(found[3:6, 0]).all()
    np.testing.assert_allclose(found[:5, 3], 0.04)
    assert np.isnan(found[5, 3])


def test_nothing_is_known_when_the_gripper_never_shuts() -> None:
    assert np.isnan(places(grasping())[6:]).all()


def test_the_loss_is_finite_when_no_place_is_known() -> None:
    data = grasping().rows(np.arange(6, 12))
    loss = HindsightLoss(data, 8)(torch.zeros(4, 8), np.array([0, 1, 2, 3]))
    assert torch.isfinite(loss)
