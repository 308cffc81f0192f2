"""Where the main job keeps its results, and which of them are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from armtune_bringup.settings import Config
from armtune_policies.contract.paths import config_root

SHIPPED = "policies/shipped"
"""Checkpoints in the checkout that ``--fast`` starts from."""

EPISODES = 150
"""How many to practise when the config sets no limit: the main job has an end."""


@dataclass(frozen=True)
class Folder:
    """One run of the main job."""

    root: Path

    @property
    def demos(self) -> Path:
        return self.root / "demos"

    @property
    def policy(self) -> Path:
        return self.root / "models" / "policy"

    @property
    def reward(self) -> Path:
        return self.root / "models" / "reward"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    def measured(self, label: str) -> Path:
        """Result of one evaluation."""
        return self.root / "evaluation" / f"{label}.json"

    def has(self, model: Path) -> bool:
        return (model / "manifest.json").is_file()


def placed(config: Config, name: str) -> tuple[Config, Folder]:
    """Return the config with a run's name and models, in simulated time, and its folder."""
    root = Path(config.experiment.folder).resolve() / name
    folder = Folder(root)
    episodes = config.experiment.episodes or EPISODES
    experiment = replace(
        config.experiment, name=name, time="lockstep", demos_folder=str(folder.demos), episodes=episodes
    )
    policy = replace(config.policy, folder=str(folder.policy))
    reward = replace(config.reward, folder=str(folder.reward))
    return replace(config, experiment=experiment, policy=policy, reward=reward), folder


def free_name(config: Config, stem: str) -> str:
    """Return the first of ``stem``, ``stem-2`` ... whose run is not finished yet."""
    runs, number = Path(config.experiment.folder).resolve(), 1
    while Folder(runs / (name := stem if number == 1 else f"{stem}-{number}")).report.is_file():
        number += 1
    return name


def shipped(task: str) -> Path:
    """Return the folder of shipped models for a task pair.

    Raises:
        FileNotFoundError: when there are none, saying what to do.
    """
    folder = config_root().resolve().parent / SHIPPED / task
    if not (folder / "policy" / "manifest.json").is_file():
        raise FileNotFoundError(f"{folder}: no shipped checkpoint for task {task!r}; run the demo without --fast")
    return folder
