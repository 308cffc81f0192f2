"""``armtune console``, ``armtune token``: where the operator's console is, and who may come in."""

from __future__ import annotations

import os
import secrets
import webbrowser
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from armtune_bringup import environment
from armtune_policies.contract import ConfigError
from armtune_policies.store.files import write_whole

from .stack import Robot


class Role(str, Enum):
    """What a token allows."""

    viewer = "viewer"
    operator = "operator"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    app.command(epilog="Example: armtune console --open")(console)
    app.command(epilog="Example: armtune token operator tokens.txt")(token)


def console(
    is_opened: Annotated[bool, typer.Option("--open", help="open it in this machine's browser")] = False,
    robot: Robot = "",
) -> None:
    """Say where the console of the running graph is."""
    os.environ.update(environment.ros_environment(environment.domain(), shares_memory=False))
    from armtune_bringup.looking_node import LookingClient

    with LookingClient(robot) as client:
        address = client.console()
    if not address:
        raise ConfigError("the graph runs without a console; start it with one: armtune up sim console=local")
    typer.echo(address)
    if is_opened and not webbrowser.open(address):
        raise ConfigError(f"no browser to open here; open {address} yourself")


def token(
    role: Annotated[Role, typer.Argument(help="viewer: may look and stop; operator: may steer, too")],
    file: Annotated[Path, typer.Argument(help="the tokens so far; made, or continued")],
) -> None:
    """Make a token for the console, keep it in a file that only you can read, and show it."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    made = secrets.token_urlsafe(24)
    mask = os.umask(0o077)
    try:
        write_whole(file, "\n".join([*before.splitlines(), f"{role.value} {made}", ""]).encode())
    finally:
        os.umask(mask)
    typer.echo(made)
