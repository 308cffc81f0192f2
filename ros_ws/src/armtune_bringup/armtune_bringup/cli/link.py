"""``armtune link``: a robot and a workstation on one ROS graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--into", help="where the profiles are kept")]


def add_to(app: typer.Typer) -> None:
    """Add ``armtune link`` to the command line."""
    group = typer.Typer(
        help="Join a robot and a workstation: docs/deploy.md.",
        epilog="Example: armtune link serve",
        no_args_is_help=True,
    )
    group.command(epilog="Example: armtune link write 10.0.0.2 10.0.0.1")(write)
    group.command(epilog="Example: armtune link serve")(serve)
    app.add_typer(group, name="link")


def write(
    here: Annotated[str, typer.Argument(help="this machine's address on the network both share")],
    robot: Annotated[str, typer.Argument(help="the robot's, where discovery is served")],
    into: Folder = Path("link"),
) -> None:
    """Write this machine's Fast DDS profiles, and say how to use them."""
    from armtune_bringup import environment, link

    for file in link.write(here, robot, into):
        typer.echo(file)
    typer.echo(f"export {environment.PROFILES_FILE}={(into / link.LINKED).resolve()}")


def serve(into: Folder = Path("link")) -> None:
    """Be the discovery server, on the robot. Ctrl-C ends it; who found each other stays joined."""
    from armtune_bringup import link

    link.serve(into)
