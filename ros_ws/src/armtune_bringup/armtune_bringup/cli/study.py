"""The command that measures what practice is worth on our simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.progress import Bars

from .stack import Overrides


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog="Example: armtune study runs/study task=bin_sort --seeds 0,1,2,3,4")(study)


def study(
    folder: Annotated[Path, typer.Argument(help="where cells, checkpoints, table and plot are kept")],
    overrides: Overrides = None,
    seeds: Annotated[str, typer.Option(help="seeds, with commas between")] = "0,1,2,3,4",
    cells: Annotated[str, typer.Option(help="which of bc, offline, control, online")] = "bc,offline,control,online",
    sees: Annotated[str, typer.Option(help="images: as on an arm; truth: the simulator's poses")] = "images",
    prior: Annotated[Path | None, typer.Option(help="episodes of other tasks to learn from, too")] = None,
    episodes: Annotated[int, typer.Option(help="held-out scenes per direction that end a cell")] = 50,
    points: Annotated[int, typer.Option(help="measurements while practice goes on")] = 4,
) -> None:
    """Compare cloning, offline learning, as many updates more, and practice, by true reward and without resets.

    Each cell is kept; the same command goes on where it was killed. Prints a table, and one JSON object last.
    """
    from armtune_bringup.agents import OnStep, read_overrides
    from armtune_bringup.study.cells import CELLS, SIGHTS, Sizes
    from armtune_bringup.study.run import run_study
    from armtune_policies.contract import ConfigError

    wanted = tuple(cells.split(","))
    if unknown := [name for name in wanted if name not in CELLS]:
        raise ConfigError(f"--cells: expected some of {', '.join(CELLS)}; got {unknown[0]!r}")
    if sees not in SIGHTS:
        raise ConfigError(f"--sees: expected one of {', '.join(SIGHTS)}; got {sees!r}")
    if not all(part.isdecimal() for part in seeds.split(",")):
        raise ConfigError(f"--seeds: expected whole numbers with commas between, got {seeds!r}")
    numbers = [int(part) for part in seeds.split(",")]
    with Bars() as bar:
        tasks: dict[str, Any] = {}

        def telling(seed: int) -> OnStep:
            def show(what: str, done: int, total: int) -> None:
                name = f"seed {seed} {what}"
                if name not in tasks:
                    tasks[name] = bar.add_task(name)
                bar.update(tasks[name], completed=done, total=total)

            return show

        sizes = Sizes(episodes=episodes, points=points)
        found = run_study(
            read_overrides(overrides or []), folder, numbers, wanted, sees, sizes, prior, telling, bar.console.print
        )
    typer.echo(json.dumps(found))
