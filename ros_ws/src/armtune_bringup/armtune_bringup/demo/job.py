"""The stages in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from armtune_bringup.agents import Learning, OnStep, pretrain_agent, read_overrides
from armtune_bringup.encoding import encoder_of
from armtune_bringup.judging.frames import labelled
from armtune_bringup.judging.settings import Judging
from armtune_bringup.judging.train import train
from armtune_bringup.progress import Bars, shown_by
from armtune_bringup.runs import begin
from armtune_bringup.settings import Config
from armtune_bringup.stages import collect_demos, evaluate_policy, planned
from armtune_bringup.study.lockstep import so_far
from armtune_policies.contract import DIRECTIONS, ConfigError
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import copy_whole, write_json
from armtune_policies.store.manifest import MANIFEST, load_manifest, training_folder

from .folder import Folder, free_name, has, placed, shipped
from .practice import practise
from .summary import rates, write_report

BEFORE, AFTER = "before", "after"
FILMED = 4
"""Held-out scenes in each film, where so many are measured."""
ALWAYS = (
    "sim.table=0", "sim.variation=1.0", "sim.looks=0.0", "experiment.demo_looks=0.0", "episode.vote_opening=0.5",
    "experiment.steps=3000", "policy.aim_m=0.005", "recorder.evidence=false", "learner=online", "learner.utd=4",
)  # fmt: skip
"""It practises on one table, and is measured on it; what was demonstrated is of others, in the same light."""
ANEW = (
    "experiment.demos=10", "experiment.failures=10", "agent=calql", "agent.critics=2", "agent.hidden=[128,128]",
    "agent.batch=128", "agent.gamma=0.97", "agent.bf16=true", "agent.resets_optimiser=false", "offline.updates=10000",
)  # fmt: skip
"""How an agent is trained: as in the newest study of the drawer in docs/results.md; the shipped one is older."""
FAST = ("experiment.steps=400", "experiment.evaluations=8")
OF_TRAINING = ("agent", "offline.", "logs.", "experiment.demo", "experiment.failures", "experiment.recoveries")
"""Overrides that an agent which is trained already would ignore begin so."""


def run_demo(
    overrides: Sequence[str], fast: bool = False, anew: bool = False, say: Callable[[str], None] = print
) -> Path:
    """Run every stage that is not done yet; return the run's folder. Settings may be overridden.

    Args:
        overrides: Of config and agent.
        fast: Practise and measure little.
        anew: Demonstrate and train an agent, also where one is shipped.
        say: Gets a line for each thing that happens.

    Raises:
        ConfigError: for an override that will not do, or where nothing is shipped to be fast with.
        GraphStopped: when practice ends early.
    """
    given = [*ALWAYS, *(FAST if fast else ()), *overrides]
    config = read_overrides(given).config
    agent = None if anew else shipped(config, "agent")
    learning = read_overrides(given if agent else [*ANEW, *given])
    _check(learning, overrides, agent, fast and not anew)
    config, task = learning.config, learning.config.task
    stem = config.experiment.name or "-".join(["demo", task.name, *["fast"] * fast, *["anew"] * anew])
    config, folder = placed(config, free_name(config, stem), demonstrates=agent is None)
    begin(config)
    say(f"{task.name}: {task.forward} / {task.backward}; everything goes to {folder.root}")
    with Bars() as bar:
        shown = shown_by(bar)
        if agent is None:
            _demonstrate(config, folder, shown)
        if not has(folder.policy):
            _copied(agent, folder.policy) if agent else _policy(learning, config, folder, shown)
        if not has(folder.reward):
            judge = shipped(config, "reward")
            _copied(judge, folder.reward) if judge else _judge(config, folder, shown)
        before = Policy.load(folder.policy, config.policy.action, config.policy.observation)
        _measure(config, folder, BEFORE, before, shown)
    if so_far(folder.root).steps < config.experiment.steps:
        practise(config, folder, say)
    after = in_use(folder, before)
    with Bars() as bar:
        _measure(config, folder, AFTER, after, shown_by(bar))
    write_report(config, folder, {BEFORE: before, AFTER: after}, scenes=min(FILMED, config.experiment.evaluations))
    for direction, by_label in rates(folder, (BEFORE, AFTER)).items():
        for label, rate in by_label.items():
            say(f"{direction:<9} {label:<7} {rate}")
    say(f"open {folder.report}")
    return folder.root


def _check(learning: Learning, overrides: Sequence[str], agent: Path | None, wants_shipped: bool) -> None:
    """Refuse what would be ignored, and to be fast with an agent that is not there."""
    task, e = learning.config.task.name, learning.config.experiment
    if learning.practice or e.episodes or not e.steps:
        raise ConfigError("the demo practises experiment.steps=N control steps, N > 0; neither episodes nor practice.*")
    if agent is None and wants_shipped:
        raise ConfigError(f"--fast: no agent is shipped for task {task} and these cameras; add --anew to train one")
    if agent is not None and (vain := [one for one in overrides if one.startswith(OF_TRAINING)]):
        raise ConfigError(f"{vain[0]}: the agent that is shipped for {task} is trained already; add --anew")


def in_use(folder: Folder, first: Policy) -> Policy:
    """Return the policy that the last episode of practice was acted by: the first one, or with a head made since."""
    acted = (read_episode(path).policy_version for path in reversed(list_episodes(folder.root)))
    version = next(filter(None, acted), "")  # an episode that ended before its first step names none
    for head in (folder.root / "models").glob("head-*"):
        if has(head) and load_manifest(head).version == version:
            return first.with_head(head)
    return first


def _demonstrate(config: Config, folder: Folder, on_step: OnStep) -> None:
    made, total = len(list_episodes(folder.demos)), len(planned(config.experiment))
    on_step("demonstrations", made, total)

    def told(_: object) -> None:
        nonlocal made
        made += 1
        on_step("demonstrations", made, total)

    collect_demos(config, folder.demos, "demos", told)


def _policy(learning: Learning, config: Config, folder: Folder, on_step: OnStep) -> None:
    encoder = encoder_of(config, folder.demos, on_step)
    pretrain_agent(replace(learning, config=config), folder.demos, None, encoder, on_step)


def _judge(config: Config, folder: Folder, on_step: OnStep) -> None:
    judging = Judging(config)
    train(judging, labelled(judging, folder.demos, with_practice=False), on_step)


def _copied(model: Path, into: Path) -> None:
    """Copy a model and the training that is beside it, if one is; the manifest comes last."""
    for source, target in ((training_folder(model), training_folder(into)), (model, into)):
        files = [file for file in source.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: file.name == MANIFEST):
            there = target / file.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            copy_whole(file, there)


def _measure(config: Config, folder: Folder, label: str, policy: Policy, on_step: OnStep) -> None:
    if folder.measured(label).is_file():
        return
    done, total = 0, 2 * config.experiment.evaluations

    def told(seed: int, is_success: bool) -> None:
        nonlocal done
        done += 1
        on_step(f"measuring {label} practice", done, total)

    results = evaluate_policy(config, policy, DIRECTIONS, told)
    write_json(
        folder.measured(label),
        {name: {"successes": r.successes, "n": r.count, "ci95": [r.low, r.high]} for name, r in results.items()},
    )
