"""Commands by which a person shows: a device in the hand, what to say of an episode, a session of demonstrations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.compose import compose, options
from armtune_bringup.progress import Bars, interrupted
from armtune_bringup.runs import as_started
from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError, topics
from armtune_policies.contract.paths import config_root
from armtune_policies.store.files import read_yaml

from .stack import Overrides, Robot, connected, done

START_S, FIND_S = 60.0, 3.0
SOURCES = ("teleop", "expert", "policy")


class Key(str, Enum):
    """What an operator says of an episode."""

    start = "start"
    success = "success"
    failure = "failure"
    discard = "discard"
    again = "again"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    for command, example in EXAMPLES.items():
        app.command(epilog=f"Example: {example}")(command)


def teleop(
    listed: Annotated[
        bool, typer.Option("--list", help="show every device, what is plugged in, and live axes")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --list: one JSON object")] = False,
    robot: Robot = "",
) -> None:
    """Drive the arm of a running graph by this terminal's keyboard. The graph wants teleop=keyboard; Ctrl-C ends.

    Keys are rows of configs/teleop/keyboard.yaml: W A S D and R F move, Q E and arrows turn, space takes the arm and
    gives it back, G grips, 1 and 2 set the speed; N starts an episode, Y success, X failure, Backspace discards,
    B records the last one again.
    """
    if listed:
        _list(as_json, robot)
        return
    with connected(robot) as client:
        robot = client.robot
    from armtune_teleop.client_node import Terminal

    with Terminal(robot) as terminal:
        terminal.listen(2.0)
        if terminal.kind not in ("", "keyboard"):
            raise ConfigError(f"the graph's device is {terminal.kind}; for this keyboard start it with teleop=keyboard")
        terminal.fly(lambda line: print(f"\r\x1b[2K{line}", end="", flush=True))
    print("\r")


def episode(key: Annotated[Key, typer.Argument(help="what to say")], robot: Robot = "") -> None:
    """Say one thing of the episode that is on, as a device's keys do. A pedal or a script may call it."""
    with connected(robot) as client:
        done(client.trigger(topics.operator(key.value)), key.value)


def collect(
    overrides: Overrides = None,
    arm: Annotated[bool, typer.Option("--arm", help="arm the gate once everything is up")] = False,
    film: Annotated[bool, typer.Option("--film/--no-film", help="write a replay beside each episode")] = True,
    robot: Robot = "",
) -> None:
    """Collect n= demonstrations per direction. A run that was broken off goes on where it was.

    source=teleop (the default): a person shows, on the running graph, by the device it was started with. source=policy:
    the graph's policy acts, the person takes over where it goes wrong (DAgger). source=expert: a scripted expert in the
    simulator, in this process, no graph.
    """
    source, wanted, rest = _split(overrides or [])
    config = compose(rest)
    wanted = wanted or config.experiment.demos
    if source == "expert":
        _by_expert(replace(config, experiment=replace(config.experiment, demos=wanted)))
        return
    with interrupted() as asked, connected(robot) as client:
        if arm:
            client.arm_when_ready(START_S)
        folder = _run_folder(client, config)
        _on_graph(client, as_started(folder, config, rest), folder, source, wanted, film, asked)


EXAMPLES: dict[Callable[..., None], str] = {
    teleop: "armtune teleop --list; armtune up sim task=drawer teleop=keyboard policy=none reward=none; armtune teleop",
    episode: "armtune episode success",
    collect: "armtune collect task=bin_sort n=50; armtune collect task=drawer n=20 source=expert experiment.name=shown",
}


def _split(overrides: list[str]) -> tuple[str, int, list[str]]:
    """Take ``source=`` and ``n=`` out of the overrides; n is 0 where it is not given."""
    own = dict(text.split("=", 1) for text in overrides if text.startswith(("n=", "source=")))
    source, count = own.get("source", SOURCES[0]), own.get("n", "0")
    if source not in SOURCES:
        raise ConfigError(f"source: expected one of {', '.join(SOURCES)}; got {source!r}")
    if not (count.isascii() and count.isdigit() and ("n" not in own or 0 < int(count) <= 10_000)):
        raise ConfigError(f"n: expected a number of demonstrations per direction, 1 to 10000, got {count!r}")
    return source, int(count), [text for text in overrides if not text.startswith(("n=", "source="))]


def _by_expert(config: Config) -> None:
    from armtune_bringup.runs import begin
    from armtune_bringup.stages import collect_demos, planned
    from armtune_policies.episode.counted import spans
    from armtune_policies.store.episode_reader import list_episodes
    from armtune_policies.store.nouns import SUCCESS

    run = begin(config)
    with Bars() as bar:
        task = bar.add_task(f"collecting {config.task.name}", total=len(planned(config.experiment)))
        made = collect_demos(config, Path(run.run_folder), run.run_id, lambda _: bar.advance(task))
    there = spans(list_episodes(Path(run.run_folder)))
    won = sum(one.about.outcome == SUCCESS for one in there)
    typer.echo(f"{len(made)} episodes more, {len(there)} in {run.run_folder}, {won} of them successful")


def _run_folder(client: Any, config: Config) -> Path:
    if (state := client.episode()) is None:
        raise TimeoutError("episode_node did not say where it stands; is the graph up?")
    folder = Path(config.experiment.folder).resolve() / state.run_id
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such run; collect where `armtune up` was started, or name experiment.folder=")
    return folder


def _on_graph(
    client: Any, config: Config, folder: Path, source: str, wanted: int, film: bool, asked: Callable[[], bool]
) -> None:
    from armtune_bringup.collecting import Session

    if source == "policy" and not config.policy.folder:
        raise ConfigError("source=policy: expected a graph with a policy, got policy=none; start it with one")
    if not _has_device(client):
        raise ConfigError("the graph has no device to show by; start it with teleop=, as in teleop=gamepad")
    session = Session(folder, wanted, config, typer.echo, film, source == "teleop")
    typer.echo(f"run {folder.name}: {session.words()}")
    if not session.is_done:
        action = topics.COLLECT if source == "teleop" else topics.CORRECT
        stop = lambda: session.look() or asked()  # noqa: E731
        result = client.practice(0, 0, lambda said: session.hear(said.state), stop, action)
        if not session.look():
            typer.echo(f"not done: {result.reason}")
    typer.echo(session.summary())
    if not session.is_done:
        raise typer.Exit(1)


def _has_device(client: Any) -> bool:
    """Whether the graph has a node that reads a device; one that is not seen at once is looked for a while."""
    end_s, name = time.monotonic() + FIND_S, ("teleop_node", f"/{client.robot}")
    while name not in client.get_node_names_and_namespaces() and time.monotonic() < end_s:
        client.episode()
    return name in client.get_node_names_and_namespaces()


def _list(as_json: bool, robot: str) -> None:
    """Each configured device, whether it is there, and what its axes read; then the device of a running graph."""
    from armtune_teleop.listing import Found, look
    from armtune_teleop.settings import TeleopParams

    found: list[Found] = []
    for name in options("teleop"):
        told = read_yaml(config_root() / "teleop" / f"{name}.yaml")
        if (params := TeleopParams.from_mapping(told)).is_on:
            found.append(look(name, params))
    live = _live(robot)
    if as_json:
        typer.echo(json.dumps({"devices": [vars(one) for one in found], "graph": live}))
        return
    for one in found:
        typer.echo(f"{one.name:<12} {one.state}{f'  {one.axes}' if one.axes else ''}")
    typer.echo(
        "graph        " + (", ".join(f"{k} {v}" for k, v in live.items() if v) if live else "none with teleop runs")
    )


def _live(robot: str) -> dict[str, str]:
    """What the running graph's device reads now, empty where none runs."""
    try:
        with connected(robot) as client:
            robot = client.robot
    except ConfigError:
        return {}
    from armtune_teleop.client_node import Terminal

    with Terminal(robot) as terminal:
        state = terminal.listen(2.0)
        return {"device": terminal.kind, **state} if state else {}
