from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from armtune_policies.contract import TaskPair
from armtune_policies.store.episode_reader import read_episode
from armtune_sim.collect import LINGER_STEPS, collect
from armtune_sim.env import ArmEnv
from armtune_sim.settings import SimParams
from armtune_sim.take import Take

TASK = TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=30)


@pytest.fixture(scope="module")
def env() -> ArmEnv:
    return ArmEnv("drawer", episode_steps=30)


def test_episode_file_ends_in_success_when_the_expert_does(env: ArmEnv, tmp_path: Path) -> None:
    (made,) = collect(env, TASK, [Take("backward")], seed=0, noise=0.1, folder=tmp_path, first_index=7)
    episode = read_episode(made.path)
    assert (made.episode_id, made.is_success) == ("demos-00007", True)
    assert (episode.outcome, episode.sentence, episode.steps) == ("success", "close the drawer", made.steps)
    assert episode.images["front"].shape == (made.steps, 96, 96, 3)
    assert episode.allowed.shape == (made.steps, 7)
    assert episode.complete.all()
    assert not episode.intervention.any()
    assert made.steps > LINGER_STEPS


def test_failures_are_kept_when_episodes_are_spoilt(env: ArmEnv, tmp_path: Path) -> None:
    made = list(collect(env, TASK, 2 * [Take("forward", is_spoilt=True)], seed=1, noise=0.0, folder=tmp_path))
    outcomes = [read_episode(one.path).outcome for one in made]
    assert outcomes == ["timeout", "timeout"]
    assert [one.is_success for one in made] == [outcome == "success" for outcome in outcomes]


def test_episodes_are_alike_when_the_seed_is(env: ArmEnv, tmp_path: Path) -> None:
    first, again = (
        read_episode(made.path)
        for folder in ("a", "b")
        for made in collect(env, TASK, [Take("forward")], seed=5, noise=0.3, folder=tmp_path / folder)
    )
    np.testing.assert_array_equal(first.images["front"], again.images["front"])
    np.testing.assert_array_equal(first.state, again.state)
    np.testing.assert_array_equal(first.allowed, again.allowed)


def test_episode_begins_where_the_last_one_ended_when_it_keeps_the_scene(env: ArmEnv, tmp_path: Path) -> None:
    ended: list[float] = []
    seeds: list[int] = []
    takes = [Take("forward"), Take("backward", keeps=True), Take("backward", keeps=True)]
    named: list[bool] = []
    for made in collect(env, TASK, takes, seed=0, noise=0.0, folder=tmp_path):
        assert made.is_success
        named.append("world_seed" in read_episode(made.path).metadata)
        ended.append(env.gated.world.data.joint("drawer").qpos[0])
        seeds.append(env.gated.world.seed)
    assert ended[0] > 0.05 > ended[1]
    assert seeds[0] == seeds[1] != seeds[2]  # opened, then closed; the third had nothing left to do there
    assert named == [True, False, True], "a seed is named only where it makes the scene"


def test_take_ends_when_the_gate_stops_the_arm_and_the_next_is_made(tmp_path: Path) -> None:
    task = TaskPair(name="lid", forward="put the lid on the pot", backward="take the lid off the pot", episode_steps=60)
    messy = ArmEnv("lid", episode_steps=60, sim=SimParams(variation=1.0, looks=1.0, distractors=4))
    takes = collect(messy, task, 2 * [Take("forward")], seed=0, noise=0.35, folder=tmp_path, first_index=20)
    stopped = next(takes)  # the lid forces the fingers apart, wider than a gripper can be
    assert messy.gated.is_stopped and not stopped.is_success and read_episode(stopped.path).steps == stopped.steps > 0
    assert next(takes).is_success and not messy.gated.is_stopped


def test_nothing_is_left_when_collecting_is_broken_off(env: ArmEnv, tmp_path: Path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(env, "step", broken)
    with pytest.raises(KeyboardInterrupt):
        list(collect(env, TASK, [Take("forward")], seed=0, noise=0.0, folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
