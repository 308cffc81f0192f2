"""The stages without ROS: demonstrations continue where they stopped, mistakes are sentences."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from armtune_bringup import stages
from armtune_bringup.cli import app
from armtune_bringup.compose import compose
from armtune_bringup.settings import ExperimentParams
from armtune_bringup.stages import collect_demos, make_env, planned, pretrain_models
from armtune_policies.learn import bc
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.manifest import load_manifest

SMALL = ["experiment.demo_noise=0.0", "policy.height_px=32", "policy.width_px=32"]


def test_demonstrations_of_both_directions_continue_where_they_stopped(tmp_path: Path) -> None:
    fewer = compose(["experiment.demos=1", "experiment.failures=0", "experiment.seed=4", "task.episode_steps=6"])
    first = collect_demos(fewer, tmp_path, "demos")
    assert [episode.direction for episode in first] == ["forward", "backward"]
    assert collect_demos(fewer, tmp_path, "demos") == []
    paths = list_episodes(tmp_path)
    assert [read_episode(path).sentence for path in paths] == [fewer.task.forward, fewer.task.backward]


def test_demonstrations_take_turns_and_every_second_pair_begins_in_a_scene_of_its_own() -> None:
    takes = planned(ExperimentParams(demos=3, failures=1, recoveries=1))
    assert [take.direction for take in takes[:6]] == 3 * ["forward", "backward"]
    assert [take.keeps for take in takes] == [0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1]
    assert [take.is_spoilt for take in takes] == 6 * [False] + [True, True, True, False, True, False]


def test_training_without_episodes_says_how_to_collect_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episodes to learn from; collect some: armtune collect"):
        pretrain_models(compose(), tmp_path, tmp_path / "p", tmp_path / "r", lambda _name, _at: None)
    assert list(tmp_path.iterdir()) == []


def test_a_few_demonstrations_make_a_policy_and_a_judge_that_has_a_card_and_knows_a_strange_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(["task=bin_sort", "experiment.demos=1", "experiment.failures=1", *SMALL])
    monkeypatch.setattr(bc, "PretrainParams", partial(bc.PretrainParams, updates=2, batch=8))
    monkeypatch.setattr(stages, "FIRST_JUDGE", {"updates": 2, "batch": 8})
    collect_demos(config, tmp_path, "demos")
    told: list[str] = []
    made = pretrain_models(config, tmp_path, tmp_path / "p", tmp_path / "r", lambda what, *_: told.append(what))
    assert set(told) == {"policy", "reward"}
    judge = RewardModel.load(tmp_path / "r", config.policy.action, config.policy.observation)
    assert judge.version == made[1].version and set(judge.sentences) == {config.task.forward, config.task.backward}
    assert (tmp_path / "r/card.md").is_file() and judge.limits.distance_bound is not None
    named = ["task=bin_sort", *SMALL, f"policy.folder={tmp_path / 'p'}", f"reward.folder={tmp_path / 'r'}"]
    said = CliRunner().invoke(app, ["pretrain", str(tmp_path), *named])
    found = json.loads(said.stdout.splitlines()[-1])
    assert found["policy"] == load_manifest(tmp_path / "p").version and found["episodes"] == 4
    assert found["reward"] == load_manifest(tmp_path / "r").version


def test_gripper_is_sticky_for_a_policy_and_not_for_what_was_demonstrated() -> None:
    config, wanted = compose(["task=bin_sort"]), (0, 1, 0, 1, 0, 0)
    for for_policy, held in ((True, [0, 1, 1, 1, 0, 0]), (False, list(wanted))):
        env, told = make_env(config, for_policy=for_policy), []
        env.reset(seed=4)
        for opening in wanted:
            env.step(np.array([0, 0, 0, 0, 0, 0, opening], np.float32))
            assert env.decision is not None
            told.append(env.decision.proposed[-1])
        env.close()
        assert told == held
