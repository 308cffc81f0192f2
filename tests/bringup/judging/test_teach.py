"""The teacher on a few episodes of one task, asked about another; its tower is small and of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armtune_bringup.judging.collect import collect
from armtune_bringup.judging.settings import Judging, read_overrides
from armtune_bringup.judging.teach import teach_judge
from armtune_policies.contract import ConfigError
from armtune_policies.learn.reward.dual import TeachParams
from armtune_policies.learn.reward.tower import Tower
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.nouns import SUCCESS

FEW = ["sim=varied", "experiment.demos=2", "experiment.failures=1", "experiment.demo_noise=0.0"]
FEW += ["policy.height_px=32", "policy.width_px=32", "fit.batch=8"]
LITTLE = TeachParams(updates=4, batch=8, frames=40)


def judging(task: str, folder: Path) -> Judging:
    return read_overrides([f"task={task}", *FEW, f"reward.folder={folder}"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {task: tmp_path_factory.mktemp("runs") / task for task in ("bin_sort", "drawer")}
    for task, folder in folders.items():
        collect(judging(task, folder / "judge"), folder, 0, lambda *_: None)
    return folders


def taught(runs: dict[str, Path], folder: Path, untaught: tuple[Path, ...]) -> dict[str, object]:
    tower = Tower(layers=1, size_px=56, width=48, heads=2)
    return teach_judge(
        judging("bin_sort", folder), [runs["bin_sort"]], tower, LITTLE, lambda *_: None, untaught=untaught
    )


def test_a_teacher_is_asked_about_a_task_that_it_was_not_taught_and_is_no_judge_of_it(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    found = taught(runs, tmp_path / "teacher", (runs["drawer"],))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    said, pair = found["untaught"], judging("drawer", tmp_path).config
    assert isinstance(said, dict) and set(said) == {pair.task.forward, pair.task.backward}
    assert all(0 <= row[rate] <= 1 for row in said.values() for rate in ("recall", "fpr", "area"))
    assert all(row["n"] > 10 for row in said.values())
    model = RewardModel.load(tmp_path / "teacher", pair.policy.action, pair.policy.observation)
    assert not set(said) & set(model.sentences)


def test_a_task_that_is_taught_is_no_test_of_one_that_is_not(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other tasks than those it is taught, got 'put the peg in the bin' in both"):
        taught(runs, tmp_path / "teacher", (runs["bin_sort"],))
    assert not (tmp_path / "teacher").exists()


def test_an_untaught_task_has_to_be_shown_being_done(runs: dict[str, Path], tmp_path: Path) -> None:
    only = tmp_path / "failures" / "episodes"
    only.mkdir(parents=True)
    failed = [path for path in kept_paths(runs["drawer"]) if read_kept(path).outcome != SUCCESS]
    for path in failed:
        (only / path.name).symlink_to(path)
    assert failed
    with pytest.raises(ConfigError, match="expected demonstrations of 'close the drawer', got none"):
        taught(runs, tmp_path / "teacher", (only.parent,))
