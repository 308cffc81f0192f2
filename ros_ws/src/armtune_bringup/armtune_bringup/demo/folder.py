"""Where the main job keeps its results, and which of them are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from armtune_bringup.settings import Config
from armtune_policies.contract import contract_digest
from armtune_policies.contract.paths import config_root
from armtune_policies.store.manifest import MANIFEST, load_manifest

SHIPPED = "policies/shipped"
"""Checkpoints in the checkout: a task's judge, and the agent that practises."""
SHIPPED_FOR = "wx250s"
"""The robot that made them."""


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


def placed(config: Config, name: str, demonstrates: bool) -> tuple[Config, Folder]:
    """Return the config with a run's name and models, in simulated time without rests, and its folder.

    One that does not demonstrate learns from what its agent's training kept.
    """
    folder = Folder(Path(config.experiment.folder).resolve() / name)
    shown = str(folder.demos) if demonstrates else ""
    experiment = replace(config.experiment, name=name, time="lockstep", rest_s=0.0, demos_folder=shown)
    policy = replace(config.policy, folder=str(folder.policy))
    reward = replace(config.reward, folder=str(folder.reward))
    return replace(config, experiment=experiment, policy=policy, reward=reward), folder


def free_name(config: Config, stem: str) -> str:
    """Return the first of ``stem``, ``stem-2`` ... whose run is not finished yet."""
    runs, number = Path(config.experiment.folder).resolve(), 1
    while Folder(runs / (name := stem if number == 1 else f"{stem}-{number}")).report.is_file():
        number += 1
    return name


def has(model: Path) -> bool:
    """Return whether a model folder is whole: its manifest is written last."""
    return (model / MANIFEST).is_file()


def shipped(config: Config, what: str) -> Path | None:
    """Return the folder of the ``agent``, ``policy`` or ``reward`` that a config can use, if one is shipped."""
    folder, task = config_root().resolve().parent / SHIPPED / config.task.name / what, config.task
    if config.robot.name != SHIPPED_FOR or not has(folder):
        return None
    manifest = load_manifest(folder)
    is_of_contract = manifest.contract == contract_digest(config.policy.action, config.policy.observation)
    return folder if is_of_contract and {task.forward, task.backward} <= set(manifest.sentences) else None
