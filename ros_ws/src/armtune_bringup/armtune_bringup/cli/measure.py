"""``armtune calibrate``: workspace, gripper, time offset, reference picture, and whether a camera was moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from armtune_policies.contract import ConfigError

from .listening import joints_of, listen, picture_of
from .stack import Overrides, Robot

if TYPE_CHECKING:
    from armtune_bringup.watching_node import Joints

RobotId = Annotated[str, typer.Argument(help="a name of your own for this very robot, as in wx250s-01")]
Camera = Annotated[str, typer.Option(help="which, as in camera.names")]
Root = Annotated[Path | None, typer.Option("--data", help="where calibrations are kept; else calibration/data")]


def add_to(group: typer.Typer) -> None:
    """Add these commands to ``armtune calibrate``."""
    for command, example in EXAMPLES.items():
        group.command(epilog=f"Example: {example}")(command)


def workspace(
    robot_id: RobotId,
    overrides: Overrides = None,
    point: Annotated[list[str] | None, typer.Option(help="a touched point x,y,z [m]; may be repeated")] = None,
    height: Annotated[float, typer.Option(min=0.05, max=1.0, help="of the box above the table [m]")] = 0.25,
    margin: Annotated[float, typer.Option(min=0.0, max=0.2, help="to stay inside the touched points [m]")] = 0.0,
    robot: Robot = "",
    data: Root = None,
) -> None:
    """Measure where the tool may be: touch each corner of the table in use with the shut gripper, driving by hand."""
    from armtune_bringup.calibrating import began
    from armtune_bringup.compose import compose
    from armtune_calibration.reach import workspace as box
    from armtune_calibration.record import save

    config = compose(overrides or [])
    touched = [_point(text) for text in point] if point else _touched(config, robot)
    found = box(touched, height, margin)
    path = save(replace(began(robot_id, config.robot.name, data), workspace=found), data)
    typer.echo(
        f"low {_metres(found.low_m)}, high {_metres(found.high_m)}, table tilted by {found.tilt_rad:.3f} rad\n{path}"
    )


def gripper(
    robot_id: RobotId,
    overrides: Overrides = None,
    seconds: Annotated[float, typer.Option(min=2.0, max=120.0, help="how long to watch")] = 10.0,
    robot: Robot = "",
    data: Root = None,
) -> None:
    """Measure how far the gripper goes: open and close it all the way, resting at both ends, while this watches."""
    from armtune_bringup.calibrating import began
    from armtune_bringup.compose import compose
    from armtune_calibration.reach import gripper as ends
    from armtune_calibration.record import save

    config = compose(overrides or [])
    base, finger, seen = began(robot_id, config.robot.name, data), config.robot.finger_joint, list[float]()

    def hear(joints: Joints) -> None:
        seen.extend(at for name, at in zip(joints.names, joints.positions) if name == finger)

    typer.echo(f"open and close the gripper now, for {seconds:g} s")
    listen("", robot, seconds, on_joints=hear)
    found = ends(seen, config.robot.gripper_closed_m)
    path = save(replace(base, gripper=found), data)
    typer.echo(f"closed {1e3 * found.closed_m:.2f} mm, open {1e3 * found.open_m:.2f} mm\n{path}")


def offset(
    robot_id: RobotId,
    overrides: Overrides = None,
    camera: Camera = "front",
    seconds: Annotated[float, typer.Option(min=5.0, max=120.0, help="how long to watch")] = 15.0,
    robot: Robot = "",
    data: Root = None,
) -> None:
    """Measure by how much pictures lag behind joint states: drive the arm to and fro while this watches."""
    from armtune_bringup.calibrating import Lag, began
    from armtune_bringup.compose import compose
    from armtune_calibration.record import save

    config = compose(overrides or [])
    base, lag = began(robot_id, config.robot.name, data), Lag(config.robot.joints)
    record = base.camera(camera)
    typer.echo(f"move the arm to and fro before the camera now, with stops, for {seconds:g} s")
    listen(camera, robot, seconds, on_picture=lag.picture, on_joints=lag.joints)
    found = lag.offset()
    path = save(base.with_camera(replace(record, offset=found)), data)
    typer.echo(f"pictures lag by {1e3 * found.offset_s:.1f} ms, sd {1e3 * found.sd_s:.1f} ms\n{path}")


def reference(
    robot_id: RobotId,
    picture: Annotated[Path | None, typer.Argument(help="a picture file; without it from the running graph")] = None,
    camera: Camera = "front",
    markers: Annotated[bool, typer.Option("--markers", help="go by ArUco markers (4x4) fixed to the table")] = False,
    robot: Robot = "",
    data: Root = None,
) -> None:
    """Keep a picture of the scene, arm at home and board away, by which a moved camera is told from now on."""
    import hashlib

    from armtune_calibration.place import Place
    from armtune_calibration.record import PlaceRecord, find, load, save
    from armtune_calibration.views import png

    base = load(find(robot_id, data))
    record, kind = base.camera(camera), "marker" if markers else "scene"
    seen = picture_of(picture, camera, robot)
    if seen.shape[:2] != (record.height_px, record.width_px):
        raise ConfigError(f"expected {record.width_px}x{record.height_px} pixels, got {seen.shape[1]}x{seen.shape[0]}")
    Place(seen, "marker" if markers else "scene")  # refuses what says too little
    encoded = png(seen)
    sha256 = hashlib.sha256(encoded).hexdigest()
    name = f"{camera}-{sha256[:8]}.png"
    place = PlaceRecord(kind=kind, picture=name, sha256=sha256)
    path = save(base.with_camera(replace(record, place=place)), data, {name: encoded})
    typer.echo(str(path))


def check(
    robot_id: RobotId,
    picture: Annotated[Path | None, typer.Argument(help="a picture file; without it from the running graph")] = None,
    overrides: Overrides = None,
    camera: Camera = "front",
    robot: Robot = "",
    data: Root = None,
) -> None:
    """Say whether a camera is where it was. Exit code 1 when it was moved."""
    from armtune_bringup.compose import compose
    from armtune_calibration.record import find
    from armtune_drivers.checking import IN_A_ROW, Check

    params = replace(compose(overrides or []).camera, calibration=str(find(robot_id, data)))
    one = Check(params, camera)
    seen = picture_of(picture, camera, robot)
    for _ in range(IN_A_ROW):
        one.look(seen)
    typer.echo(f"{camera}: {one.why or 'where it was'} ({one.off_px:.2f} px)")
    raise typer.Exit(int(bool(one.why)))


EXAMPLES: dict[Callable[..., None], str] = {
    workspace: "armtune calibrate workspace wx250s-01 --height 0.3",
    gripper: "armtune calibrate gripper wx250s-01 --seconds 10",
    offset: "armtune calibrate offset wx250s-01 --camera front",
    reference: "armtune calibrate reference wx250s-01 --camera front",
    check: "armtune calibrate check wx250s-01 --camera front",
}


def _touched(config: Any, robot: str) -> list[Any]:
    """Ask a person to touch point after point; return tool positions [m] (3,)."""
    from armtune_policies.contract.paths import config_root
    from armtune_safety.kinematics import Kinematics

    arm, points = Kinematics(config.robot, config_root() / "robot" / config.robot.mjcf), list[Any]()
    while (
        typer.prompt(f"{len(points)} points; touch one and press Enter, or q when done", default="", show_default=False)
        != "q"
    ):
        heard = joints_of(robot)
        by_name = dict(zip(heard.names, heard.positions))
        position, _ = arm.tool_pose([by_name[name] for name in config.robot.joints])
        points.append(position)
        typer.echo(f"  {_metres(position)}")
    return points


def _point(text: str) -> list[float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--point: expected x,y,z in metres, as in 0.2,-0.1,0.02; got {text!r}") from None
    return [x, y, z]


def _metres(values: Any) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ") m"
