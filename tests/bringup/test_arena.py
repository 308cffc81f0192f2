"""The simulated world as the agent's arena."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from armtune_bringup.arena import SimArena
from armtune_bringup.compose import compose
from armtune_bringup.stages import make_env
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.unencoded import Unencoded
from fixtures.tiny_models import tiny_policy


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimArena]:
    config = compose(["task=drawer", "policy.height_px=32", "policy.width_px=32"])
    seen = (config.policy.action, config.policy.observation)
    folder = tiny_policy(tmp_path_factory.mktemp("models") / "tiny", *seen)
    env = make_env(config)
    yield SimArena(env, FrozenEncoder(folder, *seen))
    env.close()


def test_the_judge_knows_which_direction_is_asked_for(arena: SimArena) -> None:
    arena.reset(3)
    assert arena.begin("forward").is_success is False
    assert arena.begin("backward").is_success is True  # a closed drawer need not be closed


@pytest.mark.fault("L3")
def test_what_is_made_is_what_the_gate_allowed(arena: SimArena) -> None:
    arena.reset(4)
    arena.begin("forward")
    gentle = np.array([0.2, -0.2, 0.1, 0, 0, 0, 1], np.float32)
    moment, made = arena.step(gentle)
    assert moment.features.shape == (3,) and moment.state.shape == (7,) and moment.is_success is False
    np.testing.assert_allclose(made, gentle, atol=0.05)
    for _ in range(12):
        _, made = arena.step(np.array([0, 0, -1, 0, 0, 0, 1], np.float32))
    assert made[2] > -0.5  # the table is below, and the gate knows


def test_the_same_seed_is_the_same_scene(arena: SimArena) -> None:
    first, again = [], []
    for found in (first, again):
        arena.reset(9)
        found.append(arena.begin("forward"))
    np.testing.assert_array_equal(first[0].features, again[0].features)
    np.testing.assert_array_equal(first[0].state, again[0].state)


def test_images_are_kept_for_those_who_learn_from_them(arena: SimArena) -> None:
    arena.reset(2)
    assert arena.begin("forward").images == {}
    moment = SimArena(arena.env, Unencoded(arena.env.seen)).begin("forward")
    assert moment.features.shape == (0,) and list(moment.images) == list(arena.env.seen.cameras)
    for camera, image in moment.images.items():
        np.testing.assert_array_equal(image, arena.env.observe()[f"image.{camera}"])
