"""The stages without ROS: demonstrations continue where they stopped, mistakes are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.stages import collect_demos, pretrain_models
from armtune_policies.store.episode_reader import list_episodes, read_episode


def test_demonstrations_of_both_directions_continue_where_they_stopped(tmp_path: Path) -> None:
    fewer = compose(["experiment.demos=1", "experiment.failures=0", "experiment.seed=4", "task.episode_steps=6"])
    first = collect_demos(fewer, tmp_path, "demos")
    assert [episode.direction for episode in first] == ["forward", "backward"]
    assert collect_demos(fewer, tmp_path, "demos") == []
    paths = list_episodes(tmp_path)
    assert [read_episode(path).sentence for path in paths] == [fewer.task.forward, fewer.task.backward]


def test_training_without_episodes_says_how_to_collect_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episodes to learn from; collect some: armtune collect"):
        pretrain_models(compose(), tmp_path, tmp_path / "p", tmp_path / "r", lambda _name, _at: None)
    assert list(tmp_path.iterdir()) == []
