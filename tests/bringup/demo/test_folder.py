from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.demo.folder import Folder, free_name, has, placed, shipped
from armtune_policies.contract.paths import config_root
from armtune_policies.reward.classifier import RewardModel


def test_a_finished_run_is_left_alone_and_an_unfinished_one_is_continued(tmp_path: Path) -> None:
    config = compose([f"experiment.folder={tmp_path}"])
    assert free_name(config, "demo") == "demo"
    (tmp_path / "demo").mkdir()
    assert free_name(config, "demo") == "demo"
    (tmp_path / "demo" / "report.html").write_text("")
    assert free_name(config, "demo") == "demo-2"


def test_everything_of_a_run_is_placed_in_its_folder(tmp_path: Path) -> None:
    config, folder = placed(compose([f"experiment.folder={tmp_path}"]), "demo", demonstrates=True)
    assert folder == Folder(tmp_path / "demo")
    assert config.experiment.time == "lockstep"
    places = (config.policy.folder, config.reward.folder, config.experiment.demos_folder)
    assert all(Path(place).is_relative_to(tmp_path / "demo") for place in places)
    assert not placed(config, "demo", demonstrates=False)[0].experiment.demos_folder


@pytest.mark.parametrize("what", ["agent", "policy", "reward"])
def test_models_are_shipped_for_the_drawer_through_one_camera(what: str) -> None:
    folder = shipped(compose(["task=drawer"]), what)
    assert folder is not None and has(folder)
    assert shipped(compose(["task=bin_sort"]), what) is None
    assert shipped(compose(["task=drawer", "robot=wxai"]), what) is None
    assert shipped(compose(["task=drawer", "task.forward=pull it"]), what) is None
    assert shipped(compose(["task=drawer", "camera=sim_wrist", "policy.cameras=[front,wrist]"]), what) is None


def test_a_judge_is_shipped_for_bin_sort_through_two_cameras_and_named_by_its_configs() -> None:
    two = ["task=bin_sort", "camera=sim_wrist", "policy.cameras=[front,wrist]"]
    folder, config = shipped(compose(two), "reward"), compose([*two, "reward=bin_sort", "episode=bin_sort"])
    assert folder is not None and folder == (config_root().parent / config.reward.folder).resolve()
    assert RewardModel.load(folder, config.policy.action, config.policy.observation).threshold < config.reward.threshold
    assert (config.episode.vote_need, config.episode.vote_window, config.episode.vote_opening) == (4, 5, 0.7)
    assert shipped(compose(two), "agent") is None
