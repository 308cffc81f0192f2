"""Experts succeed; that also shows that tasks can be done and that their predicates see it."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.contract import DIRECTIONS, ActionSpec, ConfigError
from armtune_sim.experts import EXPERTS, make_expert
from armtune_sim.gated import GatedWorld

LIMIT = 50


def attempt(world: GatedWorld, task: str, direction: str, seed: int, noise: float = 0.0, failures: float = 0.0) -> bool:
    world.reset(seed, direction)
    world.begin("try")
    expert = make_expert(task, direction, np.random.default_rng(seed), noise, failures)
    for _ in range(LIMIT):
        world.step(expert.propose(world.world.scene))
        if world.world.success(direction):
            return True
    return False


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("task", EXPERTS)
def test_expert_succeeds_when_it_acts_without_noise(gated, task: str, direction: str) -> None:
    assert [attempt(gated(task), task, direction, seed) for seed in range(3)] == [True] * 3


@pytest.mark.fault("L10")
@pytest.mark.parametrize("task", EXPERTS)
def test_task_pair_goes_back_and_forth_when_the_scene_is_kept(gated, task: str) -> None:
    world = gated(task)
    world.reset(11, "forward")
    for turn, direction in enumerate((*DIRECTIONS, *DIRECTIONS)):
        world.home()
        world.begin("turn")
        expert = make_expert(task, direction, np.random.default_rng(turn))
        for _ in range(LIMIT):
            world.step(expert.propose(world.world.scene))
            if expert.done:
                break
        assert world.world.success(direction), f"turn {turn}"


def test_success_needs_the_hand_away_when_the_object_is_in_place(gated) -> None:
    world = gated("bin_sort").world
    world.reset(0, "backward")
    assert world.success("forward")
    held = world.scene.position("peg")
    world.scene.data.site_xpos[world.model.site("tool0").id] = held
    assert not world.success("forward")


def test_expert_mostly_fails_when_told_to(gated) -> None:
    outcomes = [attempt(gated("bin_sort"), "bin_sort", "forward", seed, failures=0.95) for seed in range(3)]
    assert sum(outcomes) <= 1


def test_proposals_stay_in_bounds_when_noise_is_large(gated) -> None:
    world, spec = gated("drawer"), ActionSpec()
    world.reset(0, "forward")
    expert = make_expert("drawer", "forward", np.random.default_rng(0), noise=2.0)
    values = np.array([expert.propose(world.world.scene) for _ in range(30)])
    assert np.all(values >= np.array(spec.low))
    assert np.all(values <= np.array(spec.high))


def test_names_are_listed_when_no_expert_knows_the_task() -> None:
    with pytest.raises(ConfigError, match="got 'laundry'"):
        make_expert("laundry", "forward", np.random.default_rng(0))
