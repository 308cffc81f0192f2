"""The stages in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from armtune_bringup.runs import begin
from armtune_bringup.settings import Config
from armtune_bringup.stages import collect_demos, evaluate_policy, planned, pretrain_models
from armtune_policies.contract import DIRECTIONS
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.files import copy_whole, write_json
from armtune_policies.store.manifest import MANIFEST

from .folder import Folder, free_name, placed, shipped
from .practice import finished, practise
from .summary import rates, write_report

BEFORE, AFTER = "before", "after"
FAST: dict[str, Any] = {"demos": 6, "episodes": 12, "evaluations": 8}
"""What ``--fast`` does with."""


def run_demo(config: Config, fast: bool = False, say: Callable[[str], None] = print) -> Path:
    """Run every stage that is not done yet; return the run's folder."""
    stem = config.experiment.name or f"demo-{config.task.name}{'-fast' if fast else ''}"
    models = shipped(config.task.name) if fast else None
    if fast:
        config = replace(config, experiment=replace(config.experiment, **FAST))
    config, folder = placed(config, free_name(config, stem))
    begin(config)
    say(f"{config.task.name}: {config.task.forward} / {config.task.backward}; everything goes to {folder.root}")
    if models is not None and not folder.has(folder.reward):
        for name in ("policy", "reward"):
            into = folder.root / "models" / name
            into.mkdir(parents=True, exist_ok=True)
            for file in sorted((models / name).iterdir(), key=lambda file: file.name == MANIFEST):  # the manifest last
                copy_whole(file, into / file.name)
    _demonstrate(config, folder)
    if not (folder.has(folder.policy) and folder.has(folder.reward)):
        _pretrain(config, folder)
    before = Policy.load(folder.policy, config.policy.action, config.policy.observation)
    _measure(config, folder, BEFORE, before)
    if finished(folder) < config.experiment.episodes:
        practise(config, folder, say)
    after = newest(folder, before)
    _measure(config, folder, AFTER, after)
    write_report(config, folder, {BEFORE: before, AFTER: after}, scenes=2 if fast else 4)
    for direction, by_label in rates(folder, (BEFORE, AFTER)).items():
        for label, rate in by_label.items():
            say(f"{direction:<9} {label:<7} {rate}")
    say(f"open {folder.report}")
    return folder.root


def newest(folder: Folder, first: Policy) -> Policy:
    """Return the first policy with the newest head that practice made, or itself."""
    heads = sorted((folder.root / "models").glob("head-*/manifest.json"))
    return first.with_head(heads[-1].parent) if heads else first


def _demonstrate(config: Config, folder: Folder) -> None:
    with Progress() as bar:
        task = bar.add_task("demonstrations", total=len(planned(config.experiment)))
        collect_demos(config, folder.demos, "demos", lambda _: bar.advance(task))
        bar.update(task, completed=len(planned(config.experiment)))


def _pretrain(config: Config, folder: Folder) -> None:
    with Progress() as bar:
        tasks = {name: bar.add_task(f"training the {name}", total=None) for name in ("policy", "reward")}
        pretrain_models(
            config, folder.demos, folder.policy, folder.reward,
            lambda name, done, total: bar.update(tasks[name], completed=done, total=total),
        )  # fmt: skip


def _measure(config: Config, folder: Folder, label: str, policy: Policy) -> None:
    if folder.measured(label).is_file():
        return
    with Progress() as bar:
        task = bar.add_task(f"measuring {label} practice", total=2 * config.experiment.evaluations)
        results = evaluate_policy(config, policy, DIRECTIONS, lambda _seed, _won: bar.advance(task))
    write_json(
        folder.measured(label),
        {name: {"successes": r.successes, "n": r.count, "ci95": [r.low, r.high]} for name, r in results.items()},
    )
