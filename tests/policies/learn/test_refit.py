from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dots import ACTION, BACK, SPEC, episode

from armtune_policies.learn.bc import RefitParams
from armtune_policies.learn.refit import Refitter
from armtune_policies.reward.frames import POSITIVE
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.slot import PolicySlot


@pytest.fixture
def refitter(policy_folder: Path) -> Refitter:
    return Refitter(policy_folder, ACTION, SPEC, RefitParams(updates=30, batch=32, copies=0))


def test_successes_are_gathered_once_and_failures_never(refitter: Refitter) -> None:
    one = episode(100)
    assert refitter.add(one) == one.steps - POSITIVE
    assert refitter.add(one) == 0 and refitter.add(episode(101, fails=True)) == 0
    assert refitter.episode_ids == ("dots-00100",)


def test_an_offered_head_swaps_in_at_an_episode_start(refitter: Refitter, policy_folder: Path, tmp_path: Path) -> None:
    for seed in range(4):
        refitter.add(episode(100 + seed, BACK))
    manifest = refitter.offer(tmp_path / "head-1", "head-1", provenance={"git": "abc"})
    assert manifest.provenance["git"] == "abc" and manifest.metrics["episodes"] == 4
    slot = PolicySlot(Policy.load(policy_folder, ACTION, SPEC))
    slot.offer(tmp_path / "head-1")
    assert slot.settle(20.0) and slot.state.refused_reason == ""
    assert slot.at_episode_start().version == manifest.version


def test_recorded_features_are_used_as_they_are(refitter: Refitter, policy_folder: Path) -> None:
    policy, one = Policy.load(policy_folder, ACTION, SPEC), episode(100)
    live = np.stack([policy.features({"front": image}) for image in one.images["front"]])
    refitter.add(replace(one, features=live, encoder_digest=policy.encoder_digest))
    refitter.add(replace(one, about=replace(one.about, episode_id="again")))
    recorded, encoded = refitter._parts
    np.testing.assert_array_equal(recorded.features, live[:-POSITIVE])
    np.testing.assert_allclose(encoded.features, live[:-POSITIVE], atol=1e-6)


def test_an_episode_is_seen_shaken_too(policy_folder: Path) -> None:
    refitter = Refitter(policy_folder, ACTION, SPEC, RefitParams(copies=2))
    one = episode(100)
    count = one.steps - POSITIVE
    assert refitter.add(one) == count
    (rows,) = refitter._parts
    assert len(rows) == 3 * count and rows.episode_ids == (one.episode_id,)
    np.testing.assert_array_equal(rows.action[:count], rows.action[count : 2 * count])
    assert np.abs(rows.features[:count] - rows.features[count : 2 * count]).max() > 1e-3


def test_an_offer_is_refused_when_there_is_no_success(refitter: Refitter, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no successful episodes"):
        refitter.offer(tmp_path / "head-1", "head-1")
    assert not (tmp_path / "head-1").exists()
