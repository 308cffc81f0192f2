"""The command of a workstation that learns for robots elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.compose import compose
from armtune_bringup.progress import Bars, interrupted

from .stack import Overrides

EXAMPLE = (
    "armtune learn --from http://robot:8768 --folder runs/far --token-file token learner=online "
    "policy.folder=models/calql"
)


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog=f"Example: {EXAMPLE}")(learn)


def learn(
    robots: Annotated[list[str], typer.Option("--from", help="a robot that runs with learner=remote; may be repeated")],
    overrides: Overrides = None,
    folder: Annotated[Path, typer.Option(help="where its episodes, checkpoints and heads are kept")] = Path("runs/far"),
    token_file: Annotated[
        Path | None, typer.Option(help="file with the secret that the robots want to be shown")
    ] = None,
) -> None:
    """Learn here from what robots elsewhere practise, until Ctrl-C. The same command goes on where it was.

    Whole episode files come here, heads go there. Either side may be killed, or the network fail, at any time.
    """
    from armtune_bringup.learning_from import learn_from
    from armtune_policies.transfer.remote import Remote
    from armtune_policies.transfer.secret import read_secret

    config = compose(overrides or [])
    token = read_secret(token_file or "")
    with interrupted() as asked, Bars() as bar:
        tasks: dict[str, Any] = {}

        def on_bytes(url: str, done: int, of: int) -> None:
            if url not in tasks:
                tasks[url] = bar.add_task(url)
            bar.update(tasks[url], completed=done, total=of or 1)

        learn_from(config, [Remote(url, token) for url in robots], folder, asked, bar.console.out, on_bytes)
