"""Commands about a running graph: start it, arm it, stop it, practise."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from armtune_bringup import environment
from armtune_bringup.progress import PracticeProgress, interrupted
from armtune_policies.contract import topics

if TYPE_CHECKING:
    from armtune_bringup.client_node import Client

Overrides = Annotated[list[str] | None, typer.Argument(help="as in task=drawer experiment.seed=3", show_default=False)]
Robot = Annotated[str, typer.Option(help="namespace of the graph, where several run")]


class World(str, Enum):
    """Where the arm is."""

    sim = "sim"
    robot = "robot"
    workstation = "workstation"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    for command, example in EXAMPLES.items():
        app.command(epilog=f"Example: {example}")(command)


def up(
    world: Annotated[
        World,
        typer.Argument(help="sim or robot: which arm; workstation: what these leave to it"),
    ],
    overrides: Overrides = None,
    practise: Annotated[bool, typer.Option("--practice", help="arm and practise once everything is up")] = False,
) -> None:
    """Start the graph, one process a node. Ctrl-C ends them all within 5 s."""
    from armtune_bringup.compose import compose
    from armtune_bringup.graph import graph
    from armtune_bringup.practise import practise_on
    from armtune_bringup.runner import GraphStopped, Runner
    from armtune_bringup.runs import check_disk, check_models, plan, record
    from armtune_sim.opengl import backend

    config = compose(overrides or [])
    run, number = plan(config), environment.domain()
    specs = graph(config, world.value, run)
    runner = Runner(specs, Path(run.run_folder), number, typer.echo)
    check_models(config, world.value)
    check_disk(config, run)
    if world is World.sim:
        backend()
    with interrupted() as asked, runner:
        record(config, run)
        typer.echo(f"run {run.run_id} in {run.run_folder}, config {run.config_hash}")
        reason = practise_on(runner, config, asked) if practise else runner.run(until=asked)
    if reason:
        raise GraphStopped(f"{reason}; logs are in {run.run_folder}/logs")
    typer.echo("stopped")


def arm(robot: Robot = "") -> None:
    """Let the gate move the arm. It starts stopped, always."""
    with connected(robot) as client:
        done(client.arm(), "armed")


def stop(robot: Robot = "") -> None:
    """Stop the arm at once. It stays stopped until cleared and armed again."""
    with connected(robot) as client:
        done(client.trigger(topics.STOP), "stopped")


def hold(
    off: Annotated[bool, typer.Option("--off", help="let it go on")] = False,
    robot: Robot = "",
) -> None:
    """Hold the arm where it is, or let it go on with --off."""
    with connected(robot) as client:
        done(client.hold(not off), "goes on" if off else "held")


def clear(latch: Annotated[str, typer.Argument(help="name, as `armtune status` lists it")], robot: Robot = "") -> None:
    """Clear one latch by its name, once its cause is gone."""
    with connected(robot) as client:
        done(client.clear(latch), f"cleared {latch!r}")


def fault(
    name: Annotated[str, typer.Argument(help="which, as --list names them")] = "",
    off: Annotated[bool, typer.Option("--off", help="leave it whole again")] = False,
    value: Annotated[float, typer.Option(help="how much, where that means something; 0: the default")] = 0.0,
    listed: Annotated[bool, typer.Option("--list", help="show every fault there is")] = False,
    robot: Robot = "",
) -> None:
    """Damage what the nodes of a simulated graph hear. Needs sim.faults=true; never on a robot."""
    from armtune_sim.faults import FAULTS, known

    if listed or not name:
        for each, row in FAULTS.items():
            typer.echo(f"{each:<18} {row.doc}{f' (--value: {row.meaning})' if row.meaning else ''}")
        return
    known(name).value(name, value)
    with connected(robot) as client:
        done(client.fault(name, not off, value), f"{name} {'off' if off else 'on'}")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    robot: Robot = "",
) -> None:
    """Say what the graph does and why."""
    import json

    with connected(robot) as client:
        said = client.status()
    if as_json:
        typer.echo(json.dumps(said))
        return
    for name, value in said.items():
        typer.echo(f"{name:<16} {_words(value)}")


def practice(
    episodes: Annotated[int, typer.Option(min=0, help="how many; 0: until Ctrl-C")] = 0,
    steps: Annotated[int, typer.Option(min=0, help="control steps; 0: no limit")] = 0,
    robot: Robot = "",
) -> None:
    """Practise on the running graph. Ctrl-C ends it once the arm is at rest."""
    with interrupted() as asked, connected(robot) as client, PracticeProgress(episodes, steps) as bar:
        result = client.practice(episodes, steps, bar.show, asked)
    typer.echo(bar.summary(result))


EXAMPLES: dict[Callable[..., None], str] = {
    up: "armtune up sim policy=shipped reward=shipped --practice",
    arm: "armtune arm",
    stop: "armtune stop",
    hold: "armtune hold; armtune hold --off",
    clear: "armtune clear 'lockstep barrier'",
    fault: "armtune fault policy.slow --value 0.4; armtune fault policy.slow --off",
    status: "armtune status --json",
    practice: "armtune practice --episodes 20",
}


def connected(robot: str, shares_memory: bool = False) -> Client:
    os.environ.update(environment.ros_environment(environment.domain(), shares_memory=shares_memory))
    from armtune_bringup.client_node import Client

    return Client(robot)


def done(refusal: str, done: str) -> None:
    if refusal:
        print(f"error: refused: {refusal}", file=sys.stderr)
        raise typer.Exit(1)
    typer.echo(done)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {inner}" for key, inner in value.items()) or "-"
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "-"
