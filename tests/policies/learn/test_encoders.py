"""An encoder of an agent's own: fitted to episodes, written as a folder, read as frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dots import ACTION, SPEC, DotWorld, episode

from armtune_policies.learn.encoders import LEAST, EncoderParams, export_encoder, fit_encoder, some_frames
from armtune_policies.learn.export import About
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.trajectory import BadData
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import load_manifest

PARAMS = EncoderParams(colours=4, frames=24, pixels=50)


def test_frames_are_as_many_of_each_episode_and_whole() -> None:
    broken = episode(1)
    broken = replace(broken, complete=np.arange(broken.steps) < 2)
    frames = some_frames([broken, episode(2)].__getitem__, 2, SPEC, most=24)
    assert frames.episode.tolist() == [0, 0, 1, 1, 1, 1, 1] and set(frames.images) == {"front"}
    frames = frames.images["front"]
    assert frames.shape == (7, 32, 32, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[:2], broken.images["front"][:2])


def test_of_very_many_episodes_some_are_looked_at_more_than_once_each() -> None:
    read: list[int] = []
    frames = some_frames(lambda index: read.append(index) or episode(index), 100, SPEC, most=3 * LEAST)
    assert read == [0, 49, 99] and frames.episode.tolist() == [index for index in read for _ in range(5)]


def test_images_of_another_size_and_no_frames_at_all_are_refused() -> None:
    with pytest.raises(BadData, match=r"image front: expected \(64, 32, 3\), got \(32, 32, 3\)"):
        some_frames(lambda _: episode(1), 1, replace(SPEC, height_px=64), most=4)
    with pytest.raises(ValueError, match="no whole frame to fit an encoder to"):
        some_frames(episode, 0, SPEC, most=4)


def test_where_demonstrations_took_hold_only_the_colour_that_tells_it_is_looked_at() -> None:
    def taking(index: int) -> Episode:
        one, world = episode(index), DotWorld()
        world.reset(seed=index)
        state, allowed = one.state.copy(), one.allowed.copy()
        state[-1, :2], allowed[-1, -1] = world.dot_m, 0.0
        return replace(one, state=state, allowed=allowed)

    frames = some_frames(taking, 12, SPEC, most=120)
    encoder = fit_encoder(frames, PARAMS, seed=1)
    unseen = some_frames(taking, 24, SPEC, most=240)
    assert encoder.feature_size == 3
    seen = encoder(torch.from_numpy(unseen.images["front"])).numpy()
    inputs = np.c_[seen, np.ones(len(seen))]
    known, later = unseen.episode < 12, unseen.episode >= 12
    weights = np.linalg.lstsq(inputs[known], unseen.grasp_m[known])[0]
    assert np.median(np.linalg.norm(inputs[later] @ weights - unseen.grasp_m[later], axis=1)) < 0.02


def test_the_frozen_encoder_computes_what_was_fitted(tmp_path: Path) -> None:
    frames = some_frames(episode, 6, SPEC, PARAMS.frames)
    encoder = fit_encoder(frames, PARAMS, seed=1)
    manifest = export_encoder(tmp_path / "e", encoder, About("e", ACTION, SPEC, {}))
    assert manifest.kind == "encoder" and manifest.metrics["parity_max_error"] <= 1e-5
    frozen = FrozenEncoder(tmp_path / "e", ACTION, SPEC)
    assert frozen.digest == load_manifest(tmp_path / "e").encoder_digest and frozen.feature_size == 12
    with torch.no_grad():
        np.testing.assert_allclose(
            frozen.features(frames.images), encoder(torch.from_numpy(frames.images["front"])), atol=1e-5
        )
