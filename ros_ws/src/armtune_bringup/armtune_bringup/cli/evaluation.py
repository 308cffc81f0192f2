"""The command that says how well a policy does, in one process or on a running graph."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup import environment
from armtune_bringup.compose import compose, config_hash
from armtune_bringup.progress import Bars
from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError, TaskPair, digest, file_digest
from armtune_policies.episode.trials import Trial
from armtune_policies.store.manifest import MANIFEST
from armtune_policies.store.nouns import EVALUATIONS

from .stack import Overrides, Robot

EXAMPLES = """\b
Examples:
  armtune evaluate models/policy task=drawer
  armtune evaluate runs/mine/models/head-0040 --against models/calql --on-stack task=drawer experiment.evaluations=20
"""


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog=EXAMPLES)(evaluate)


def evaluate(
    folder: Annotated[Path, typer.Argument(help="policy folder")],
    overrides: Overrides = None,
    on_stack: Annotated[
        bool | None, typer.Option("--on-stack/--in-process", help="where; else on a graph that runs here, if any")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="on the stack: policy to compare with, in turns")] = None,
    result: Annotated[Path | None, typer.Option(help="on the stack: JSON to keep; else in the run's folder")] = None,
    by_operator: Annotated[bool, typer.Option("--operator", help="a person judges in simulation, too")] = False,
    robot: Robot = "",
) -> None:
    """Try a policy on held-out scenes. Prints success per direction with 95 % intervals.

    On the stack it acts through every node, armed by you, while practice is not on; the graph counts and learns nothing
    of it. The simulator's truth says what was done, on a robot you do, and nobody is told which policy acts. The same
    command goes on where it was killed. experiment.evaluations=20: scenes, each in both directions. Prints one JSON
    object last.
    """
    config = compose(overrides or [])
    if on_stack or (on_stack is None and environment.is_claimed(environment.domain())):
        found = _on_stack(config, [folder, *([against] if against else [])], result, by_operator, robot)
    elif against or result or by_operator:
        raise ConfigError("--against, --result and --operator are for a running graph: start one, or add --on-stack")
    else:
        found = _in_process(config, folder)
    typer.echo(json.dumps(found))


def _in_process(config: Config, folder: Path) -> dict[str, Any]:
    from armtune_bringup.stages import evaluate_policy
    from armtune_policies.runtime.policy import Policy

    policy = Policy.load(folder, config.policy.action, config.policy.observation)
    world = [*(asdict(part) for part in (config.robot, config.safety, config.sim)), config.task.as_shown]
    named = digest([file_digest(folder / MANIFEST), world, config.policy.grip_steps])
    kept = Path(config.experiment.folder) / EVALUATIONS / f"{policy.version}-{named[:12]}.json"
    with Bars() as bar:
        task = bar.add_task("evaluating", total=2 * config.experiment.evaluations)
        results = evaluate_policy(config, policy, on_episode=lambda _seed, _won: bar.advance(task), kept=kept)
    for direction, one in results.items():
        typer.echo(f"{direction:<9} {one}")
    typer.echo(f"kept in {kept}, and not tried again")
    return {name: {"successes": r.successes, "n": r.count, "ci95": [r.low, r.high]} for name, r in results.items()}


def _on_stack(
    config: Config, folders: list[Path], result: Path | None, by_operator: bool, robot: str
) -> dict[str, Any]:
    from armtune_bringup.evaluating import Ledger, contenders, evaluate_on, table
    from armtune_bringup.progress import interrupted

    os.environ.update(environment.lone_environment(environment.domain()))
    from armtune_bringup.evaluating_node import EvaluatingClient

    who = contenders(config, folders)
    with interrupted() as asked, EvaluatingClient(robot) as graph, Bars() as bar:
        by_truth = not by_operator and graph.is_simulated()
        path = result or _result_path(config, graph.run_id(), [one.version for one in who])
        ledger = Ledger(path, who, config, by_truth)
        task = bar.add_task("evaluating", total=len(ledger.trials), completed=len(ledger.rows))
        told = lambda done, of: bar.update(task, completed=done)  # noqa: E731
        judge = None if by_truth else AtTheTable(config.task, bar)
        evaluate_on(graph, ledger, who, judge, asked, told, bar.console.out)
    found = ledger.summary()
    typer.echo(table(found))
    typer.echo(f"kept in {path}{'; the same command goes on' if ledger.left else ''}")
    return {name: found[name] for name in ("evaluation", "n", "of")} if ledger.left else found


def _result_path(config: Config, run_id: str, versions: list[str]) -> Path:
    run = Path(config.experiment.folder) / run_id
    if not run.is_dir():
        raise ConfigError(f"no run {run_id} in {config.experiment.folder}; say by --result where the result is kept")
    about = f"seed-{config.experiment.seed}-{config_hash(config)[:8]}"
    return run / EVALUATIONS / f"{'-against-'.join(versions)}-{about}.json"


class AtTheTable:
    """The person who lays scenes and says what was done; not told which policy acts."""

    def __init__(self, task: TaskPair, bar: Bars) -> None:
        self._task, self._bar = task, bar

    def lay(self, trial: Trial) -> None:
        """Wait for Enter."""
        wanted = f"lay scene {trial.scene + 1} so that it is to be done: {self._task.sentence(trial.direction)!r}"
        self._ask(f"trial {trial.number + 1}: {wanted}; then Enter")

    def is_done(self, trial: Trial) -> bool:
        """Ask until it is y or n."""
        while (said := self._ask("was it done? y or n")) not in ("y", "n"):
            pass
        return said == "y"

    def _ask(self, text: str) -> str:
        self._bar.stop()
        said: str = typer.prompt(text, default="", show_default=False)
        self._bar.start()
        return said.strip().lower()
