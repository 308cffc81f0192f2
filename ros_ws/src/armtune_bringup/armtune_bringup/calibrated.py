"""What was measured on the robot, taken into the config before the table of nodes is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armtune_calibration.record import Calibration, find, load
from armtune_policies.contract import ConfigError

from .settings import Config


def calibrated(config: Config) -> tuple[Config, Calibration | None]:
    """Return the config with what its calibration says: the workspace tightened to it, the gripper's own ends.

    Raises:
        ConfigError: when there is no such calibration, it was edited, or is of another kind of robot.
    """
    if not config.camera.calibration:
        return config, None
    path = find(config.camera.calibration)
    found = load(path)
    if found.robot != config.robot.name:
        raise ConfigError(
            f"{path}: measured on a {found.robot}, but robot={config.robot.name}; name another calibration"
        )
    robot, safety = config.robot, config.safety
    for name in config.camera.names:
        found.camera(name)
    if found.gripper:
        robot = replace(robot, gripper_closed_m=found.gripper.closed_m, gripper_open_m=found.gripper.open_m)
    if found.workspace:
        low = map(max, safety.workspace_low_m, found.workspace.low_m)
        high = map(min, safety.workspace_high_m, found.workspace.high_m)
        box: Any = {"workspace_low_m": tuple(low), "workspace_high_m": tuple(high)}
        safety = replace(safety, **box)
    camera = replace(config.camera, calibration=str(path))
    return replace(config, robot=robot, safety=safety, camera=camera), found


def checked_cameras(config: Config, found: Calibration | None) -> tuple[str, ...]:
    """Return the cameras that have a reference picture to be compared with."""
    return tuple(name for name in config.camera.names if found and found.camera(name).place)
