"""Commands about learning: pre-train, fine-tune, and the whole demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.progress import Bars, shown_by
from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError

from .stack import Overrides


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    for command, example in EXAMPLES.items():
        app.command(epilog=f"Example: {example}")(command)


def pretrain(
    demos: Annotated[
        Path, typer.Argument(help="run folder with demonstrations, a LeRobot v3 folder, or a D4RL/Minari file")
    ],
    overrides: Overrides = None,
    encoder: Annotated[
        Path | None, typer.Option(help="with agent=: folder of the encoder or policy to see by; else one is fitted")
    ] = None,
    prior: Annotated[
        Path | None, typer.Option(help="with agent=: other tasks' episodes, or `armtune data select`'s choice of them")
    ] = None,
) -> None:
    """Train a policy and a success classifier. Both are exported, to policy.folder and reward.folder.

    With agent=calql (or bc, cql, iql, rlpd, td3bc, wsrl) an RL agent learns from successes and failures on a frozen
    encoder; under torchrun several processes learn together, each from its part of the episodes. It goes on where it
    was killed, and prints one JSON object last.
    """
    from armtune_bringup.agents import pretrain_agent, read_overrides
    from armtune_bringup.arrays import pretrain_arrays
    from armtune_bringup.encoding import encoder_of
    from armtune_policies.datasets.hdf5 import is_arrays

    learning = read_overrides(overrides or [])
    policy, reward = Path(learning.config.policy.folder), Path(learning.config.reward.folder)
    if not learning.recipe:
        if encoder or prior or learning.agent or learning.offline:
            raise ConfigError("an agent's settings need its recipe: name one, as in agent=calql")
        if is_arrays(demos):
            raise ConfigError(f"{demos}: arrays without pictures need an agent: name one, as in agent=calql")
        typer.echo(json.dumps(_clone(learning.config, demos, policy, reward)))
        return
    if is_arrays(demos):
        if encoder or prior:
            raise ConfigError(f"{demos}: arrays have no pictures and go alone; leave --encoder and --prior away")
        with Bars() as bar:
            typer.echo(json.dumps(pretrain_arrays(learning, demos, shown_by(bar))))
        return
    from armtune_policies.learn.crew import Crew
    from armtune_policies.learn.settings import recipe_params

    crew = Crew.from_environment(recipe_params(learning.recipe, **learning.agent).device)
    with Bars(disable=bool(crew and crew.rank)) as bar:
        shown = shown_by(bar)
        if encoder is None and learning.agent.get("pixels", "none") == "none":
            encoder = encoder_of(learning.config, demos, shown, may_fit=crew is None)
        result = pretrain_agent(learning, demos, prior, encoder, shown, crew, bar.console.out)
    if crew:
        crew.leave()
    if result:
        typer.echo(json.dumps(result))


def _clone(config: Config, demos: Path, policy: Path, reward: Path) -> dict[str, Any]:
    from armtune_bringup.stages import pretrain_models

    with Bars() as bar:
        cloned, judge = pretrain_models(config, demos, policy, reward, shown_by(bar))
    about = {"episodes": cloned.provenance["episodes"], **cloned.metrics, "policy": cloned.version}
    return {**about, "folder": str(policy), "reward": judge.version, "reward_folder": str(reward)}


def finetune(
    demos: Annotated[Path, typer.Argument(help="run or LeRobot folder that the agent was trained on")],
    overrides: Overrides = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="in the simulator, without ROS")] = False,
    prior: Annotated[Path | None, typer.Option(help="episodes of other tasks it was trained on, too")] = None,
) -> None:
    """Let policy.folder's agent practise, reset-free, by true reward. Success before and after is one JSON object.

    A run of the same experiment.name goes on where it was killed.
    """
    from armtune_bringup.agents import read_overrides
    from armtune_bringup.finetuning import finetune_agent

    if not in_process:
        raise ConfigError("expected --in-process; through ROS an agent practises by: armtune up sim learner=online")
    learning = read_overrides(overrides or [])
    with Bars() as bar:
        result = finetune_agent(learning, demos, prior, shown_by(bar), bar.console.out)
    typer.echo(json.dumps(result))


def demo(
    overrides: Overrides = None,
    fast: Annotated[bool, typer.Option("--fast", help="practise 400 steps and measure little: a few minutes")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="demonstrate and train, also where an agent comes along")
    ] = False,
) -> None:
    """Show it all in one folder with a report. A simulated arm practises a task pair by itself."""
    from armtune_bringup.demo import run_demo

    run_demo(overrides or [], fast, anew)


EXAMPLES: dict[Callable[..., None], str] = {
    pretrain: "armtune pretrain runs/shown task=drawer; "
    "armtune pretrain runs/shown task=drawer agent=calql policy.folder=models/calql offline.weight_prior=0.5",
    finetune: "armtune finetune runs/shown --in-process policy.folder=models/calql practice.steps=5000",
    demo: "armtune demo task=drawer --fast",
}
