"""``armtune calibrate``: a board, views of it, the camera's record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.progress import Bars, interrupted, shown_by

from . import measure
from .listening import listen
from .measure import Camera, RobotId, Root
from .stack import Overrides, Robot

Columns = Annotated[int, typer.Option(help="squares along the longer side")]
Rows = Annotated[int, typer.Option(help="squares along the shorter side")]
SquareMm = Annotated[float, typer.Option(help="side of a square as measured on the print [mm]")]
MarkerMm = Annotated[float, typer.Option(help="side of a marker [mm]")]
Dictionary = Annotated[str, typer.Option(help="which markers: 4x4, 5x5 or 6x6")]


class Where(str, Enum):
    """Where the arm is."""

    sim = "sim"
    robot = "robot"


class Mount(str, Enum):
    """What carries the camera."""

    base = "base"
    tool = "tool"


def add_to(app: typer.Typer) -> None:
    """Add ``armtune calibrate`` to the command line."""
    group = typer.Typer(help="Measure where cameras are and how they see.", no_args_is_help=True, epilog=GROUP_EXAMPLE)
    for command, example in EXAMPLES.items():
        group.command(epilog=f"Example: {example}")(command)
    measure.add_to(group)
    app.add_typer(group, name="calibrate")


def board(
    file: Annotated[Path, typer.Argument(help="PDF to write")],
    paper: Annotated[str, typer.Option(help="a4, a3 or letter")] = "a4",
    columns: Columns = 8,
    rows: Rows = 6,
    square_mm: SquareMm = 30.0,
    marker_mm: MarkerMm = 18.0,
    dictionary: Dictionary = "4x4",
) -> None:
    """Make a page with a ChArUco board at its exact size. Print it at 100 % and glue it onto something flat."""
    from armtune_policies.store.files import write_whole

    write_whole(file, _board(columns, rows, square_mm, marker_mm, dictionary).pdf(paper))
    typer.echo(f"{file}: print at 100 % (no 'fit to page'), measure the bar and a square, glue it onto a flat plate")


def capture(
    where: Annotated[Where, typer.Argument(help="sim: the simulated arm moves by itself; robot: you move it")],
    folder: Annotated[Path, typer.Argument(help="where views are kept; goes on with what is there")],
    overrides: Overrides = None,
    camera: Camera = "front",
    mount: Annotated[Mount, typer.Option(help="base: camera beside the arm; tool: on it")] = Mount.base,
    views: Annotated[int, typer.Option(min=6, help="how many are wanted")] = 15,
    seed: Annotated[int, typer.Option(help="sim: of the poses")] = 0,
    robot: Robot = "",
    columns: Columns = 8,
    rows: Rows = 6,
    square_mm: SquareMm = 30.0,
    marker_mm: MarkerMm = 18.0,
    dictionary: Dictionary = "4x4",
) -> None:
    """Take views of the board from well-spread poses, with a meter of what is still wanted. Ctrl-C keeps them.

    On a robot start the graph with a teleop device and drive the arm: a view is kept whenever it rests at a new pose
    and the board is seen. Every motion passes the gate.
    """
    from armtune_bringup.compose import compose
    from armtune_calibration.views import SessionParams
    from armtune_drivers.calibrated import serial_of

    config = compose(overrides or [])
    shown = _board(columns, rows, square_mm, marker_mm, dictionary)
    serial = serial_of(config.camera, camera) if where is Where.robot else ""
    of = {"camera": camera, "serial": serial, "robot": config.robot.name, "mount": mount.value}
    about = SessionParams(**of, board=shown)
    taken = _simulated(folder, about, config, views, seed) if where is Where.sim else _live(
        folder, about, config, views, robot
    )  # fmt: skip
    typer.echo(f"{taken} views in {folder}; next: armtune calibrate solve {folder} <robot id>")


def solve(
    folder: Annotated[Path, typer.Argument(help="views, as capture keeps them; or pictures of the board alone")],
    robot_id: RobotId,
    square_mm: Annotated[float, typer.Option(help="another side of a square than the views say [mm]; 0: theirs")] = 0.0,
    data: Root = None,
) -> None:
    """Solve for lens and place of a camera, write report.html beside the views and a new dated calibration.

    Prints the numbers, and one JSON object last.
    """
    from armtune_bringup.calibrating import began
    from armtune_calibration.record import save
    from armtune_calibration.report import report, summary
    from armtune_calibration.solve import look, scale_warning
    from armtune_calibration.solve import solve as solve_views
    from armtune_calibration.views import read_session, read_views
    from armtune_policies.store.files import write_whole

    about = read_session(folder)
    if square_mm:
        size = square_mm / 1e3 / about.board.square_m
        sized = replace(about.board, square_m=square_mm / 1e3, marker_m=about.board.marker_m * size)
        about = replace(about, board=sized)
    base, views = began(robot_id, about.robot, data), read_views(folder)
    with Bars() as bar:
        show = shown_by(bar)
        result = solve_views(about, look(views, about.board, show), show)
        write_whole(folder / "report.html", report(result, views))
    for name, value in summary(result).items():
        typer.echo(f"{name:<18}{value}")
    for why in filter(None, [scale_warning(result), *(f"surer with {lack}" for lack in result.coverage.lacks)]):
        typer.echo(f"note: {why}")
    path = save(base.with_camera(result.record), data)
    typer.echo(f"{path}\n{folder / 'report.html'}")
    typer.echo(json.dumps({"file": str(path), **summary(result)}))


def show(
    robot_id: Annotated[str, typer.Argument(help="which; without it all are listed")] = "",
    data: Root = None,
) -> None:
    """Show what was measured on a robot, or which robots there are."""
    import yaml

    from armtune_calibration.record import data_root, find, load, newest, plain

    root = data or data_root()
    if not robot_id:
        for folder in sorted(path for path in root.glob("*") if path.is_dir()):
            if (path := newest(folder.name, root)) is not None:
                found = load(path)
                cameras = ", ".join(camera.name for camera in found.cameras) or "no cameras"
                typer.echo(f"{folder.name:<20} {found.robot:<10} {found.made}  {found.hash}  {cameras}")
        return
    path = find(robot_id, root)
    found = load(path)
    typer.echo(f"# {path}\n# hash {found.hash}")
    typer.echo(yaml.safe_dump(plain(found), sort_keys=False, default_flow_style=None).rstrip())


GROUP_EXAMPLE = "Example: armtune calibrate board board.pdf; docs/calibration.md has the rest, in order"
EXAMPLES: dict[Callable[..., None], str] = {
    board: "armtune calibrate board board.pdf --paper a4",
    capture: "armtune calibrate capture robot views/front camera=uvc --camera front --views 20",
    solve: "armtune calibrate solve views/front wx250s-01",
    show: "armtune calibrate show wx250s-01",
}


def _board(columns: int, rows: int, square_mm: float, marker_mm: float, dictionary: str) -> Any:
    from armtune_calibration.board import BoardParams

    return BoardParams(
        columns=columns, rows=rows, square_m=square_mm / 1e3, marker_m=marker_mm / 1e3, dictionary=dictionary
    )


def _simulated(folder: Path, about: Any, config: Any, views: int, seed: int) -> int:
    """Let the simulated arm show the board; return how many views there are then."""
    import numpy as np

    from armtune_bringup.calibrating import Capture
    from armtune_calibration.views import Session, read_views
    from armtune_sim.gated import default_gate
    from armtune_sim.guided import GuidedArm

    gate = default_gate(config.robot.name)
    arm = GuidedArm(gate, about.board, about.mount, about.camera)
    taking = Capture(Session(folder, about), gate.robot, gate.mjcf, (640, 480), typer.echo)
    with interrupted() as asked:
        for shot in arm.shots(4 * views, np.random.default_rng(seed)):
            speed = float(np.abs(shot.speeds).max())
            taking.offer(shot.picture, shot.stamp_ns, shot.joints, speed, shot.stamp_ns)
            if asked() or taking.coverage.views >= views:
                break
    arm.close()
    return len(read_views(folder))


def _live(folder: Path, about: Any, config: Any, views: int, robot: str) -> int:
    """Keep views of a running graph while a person drives; return how many there are then."""
    from armtune_bringup.calibrating import Capture, Pairs
    from armtune_calibration.views import Session, read_views
    from armtune_policies.contract.paths import config_root

    size = (config.camera.width_px, config.camera.height_px)
    mjcf = config_root() / "robot" / config.robot.mjcf
    pairs = Pairs(Capture(Session(folder, about), config.robot, mjcf, size, typer.echo))
    typer.echo("drive the arm: let it rest wherever the board is seen; Ctrl-C ends")
    with interrupted() as asked:
        listen(
            about.camera, robot, 0.0, on_picture=pairs.picture, on_joints=pairs.joints,
            enough=lambda: asked() or pairs.views >= views,
        )  # fmt: skip
    return len(read_views(folder))
