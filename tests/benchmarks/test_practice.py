"""What the bench of practice is told, and what it makes of its cells; the graph itself is a scenario of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from armtune_bringup.agents import read_overrides
from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError, contract_digest
from armtune_policies.store.manifest import load_manifest
from benchmarks.practice import CELLS, JUDGE_OF, as_shown, read, summary

pytestmark = pytest.mark.unhurried


def cell(forward: int, backward: int, **more: Any) -> dict[str, Any]:
    return {"success": {"forward": [forward, 10], "backward": [backward, 10]}, **more}


def configured(*words: str) -> Config:
    return read_overrides(read(words).overrides).config


def test_words_of_the_command_line_are_ours_or_overrides() -> None:
    asked = read(["task=drawer", "seeds=[3,4]", "steps=500", "reward=truth", "noise=cloth_folding", "folder=runs/x"])
    assert (asked.seeds, asked.steps, asked.cells, asked.is_true) == ((3, 4), 500, tuple(CELLS), True)
    assert asked.folder == Path("runs/x") and asked.variant == "-truth-cloth_folding"
    assert asked.overrides[-2:] == ("task=drawer", "reward.noise=cloth_folding")


def test_judge_that_comes_along_is_asked_unless_another_is_named() -> None:
    assert read([]).overrides == read(["task=drawer"]).overrides[:-1], "what is not said is the task by default"
    for task in JUDGE_OF:
        config = configured(f"task={task}")
        manifest = load_manifest(Path(config.reward.folder))
        assert manifest.contract == contract_digest(config.policy.action, config.policy.observation)
        assert {config.task.forward, config.task.backward} <= set(manifest.sentences)
        votes = [
            (one.reward.threshold, one.episode.vote_need, one.episode.vote_window, one.episode.vote_opening)
            for one in (configured(f"task={task}", word) for word in ("reward=truth", "reward.folder=/here/mine"))
        ]
        plain = configured("task=lid")
        said = (plain.reward.threshold, plain.episode.vote_need, plain.episode.vote_window, plain.episode.vote_opening)
        assert votes == [said, said], "what was chosen for one judge is not for another"
    assert configured("task=lid").reward.folder == "models/reward"
    assert configured("task=drawer", "reward.folder=/here/mine").reward.folder == "/here/mine"


def test_cells_of_other_settings_are_kept_under_other_names() -> None:
    plain = read(["task=drawer"]).rest
    assert read(["noise=cloth_folding", "shift=camera", "steps=500", "seeds=[3]"]).rest == plain
    others = (["agent.batch=64"], ["agent.batch=32"], ["episodes=5"], ["task=bin_sort"], ["reward=truth"])
    names = {read(more).rest for more in others}
    assert len({plain, *names}) == 6 and f"-of-5{plain}" in names
    assert read(["agent.batch=128"]).rest == plain, "as it is without a word"
    assert read(["reward.folder=/here/two"]).rest == read(["reward.folder=/elsewhere/two"]).rest != plain
    assert read(["agent.batch=64", "offline.updates=7"]).rest == read(["offline.updates=7", "agent.batch=64"]).rest


def test_folder_is_shown_by_its_place_in_a_checkout() -> None:
    (ours,) = [word for word in JUDGE_OF["drawer"] if word.startswith("reward.folder=")]
    assert as_shown(ours) == "reward.folder=policies/shipped/drawer/reward"
    assert as_shown("reward.folder=/here/mine") == "reward.folder=mine"
    assert as_shown("agent.batch=64") == "agent.batch=64"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["quick"], "expected name=value, as in seeds=[0], got 'quick'"),
        (["reward=mine"], "reward: expected learned or truth, got 'mine'"),
        (["seeds=3"], "seeds: expected a list"),
        (["reward.noise=cloth_folding"], "reward.noise=cloth_folding: say it by the word of its own"),
        (["cells=[bc,best]"], "cells: expected some of bc, offline, matched, practice; got 'best'"),
    ],
)
def test_slip_is_told_in_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("[", r"\[")):
        read(words)


def test_summary_pools_seeds_and_finds_the_worst() -> None:
    practised = {
        0: cell(9, 7, steps=100, robot_minutes=1.0, resets=1, lifts=0),
        1: cell(5, 5, steps=110, robot_minutes=2.0, resets=0, lifts=3),
    }
    found = summary({"offline": {0: cell(4, 2), 1: cell(4, 2)}, "matched": {0: cell(5, 5)}, "practice": practised})
    assert found == {
        "before": 0.3, "after": 0.65, "matched_after": 0.5, "before_min_direction": 0.2, "after_min_direction": 0.6,
        "after_worst_seed": 0.5, "n": 40, "steps": 105.0, "robot_minutes": 1.5, "resets": 1, "lifts": 3,
    }  # fmt: skip
    assert summary({"offline": {0: cell(4, 2)}})["after"] is None
