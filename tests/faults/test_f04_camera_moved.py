"""F04: the camera is another one than was calibrated, or somebody bumped it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from casebook import Case
from rig import OVERRIDES, FaultStack
from stage import Stage

from armtune_bringup.compose import compose
from armtune_calibration.poses import to_quaternion
from armtune_calibration.record import Calibration, CameraRecord, LensRecord, PlaceRecord, PoseRecord, load, save
from armtune_calibration.views import png
from armtune_policies.contract import Mode
from armtune_policies.contract.paths import config_root
from armtune_safety.failsafe import MOVED
from armtune_sim.board import camera_pose
from armtune_sim.world import World

LOOKS_MS = 3 * 300.0 + 200.0
"""Three looks, and the way to the gate."""
STEPS = "task.episode_steps=12"

pytestmark = [pytest.mark.slow, pytest.mark.fault("F04")]


def calibrated(folder: Path, other: bool = False) -> Path:
    """Calibrate the simulated camera by what it sees; or let the reference be what another camera sees."""
    config = compose(list(OVERRIDES))
    world = World(config_root() / "robot" / config.robot.mjcf, config.task.name, config.sim)
    world.reset(config.experiment.seed, "forward")
    picture, focal = world.render("front"), world.focal_px("front")
    position, quaternion = to_quaternion(camera_pose(world.model, world.data, "front"))
    world.close()
    picture = np.ascontiguousarray(picture[:, ::-1]) if other else picture
    lens = LensRecord(
        fx_px=focal, fy_px=focal, cx_px=319.5, cy_px=239.5, distortion=(0.0,) * 5, sd=(0.1,) * 8, rms_px=0.1, views=15
    )
    pose = PoseRecord(
        parent="base", position_m=tuple(position.tolist()), quaternion_xyzw=tuple(quaternion.tolist()),
        covariance=(0.0,) * 36, views=15,
    )  # fmt: skip
    encoded = png(picture)
    place = PlaceRecord(kind="scene", picture="front-1.png", sha256=hashlib.sha256(encoded).hexdigest())
    front = CameraRecord(name="front", width_px=640, height_px=480, lens=lens, pose=pose, place=place)
    one = Calibration(robot_id="sim-1", robot=config.robot.name, made="", cameras=(front,))
    return save(one, folder, {"front-1.png": encoded})


def test_arm_stops_between_episodes_when_the_camera_was_bumped(stage: Stage, case: Case, tmp_path: Path) -> None:
    case.by("camera.shift by 10 px")
    path = calibrated(tmp_path)
    graph = stage.fresh(STEPS, f"camera.calibration={path}")
    graph.moving()
    case.nothing("an episode without its calibration", graph.episodes.last.calibration_hash != load(path).hash)
    with graph.fault("camera.shift") as since_ns:
        over_ns, _ = graph.episodes.first(since_ns, lambda e: e.phase not in ("acting", "ready"), 10.0)
        case.within("STOP after the episode", graph.says(over_ns, Mode.STOP, MOVED) - over_ns, LOOKS_MS)
        graph.rest_ns(over_ns)
        case.nothing("cleared while the camera is elsewhere", not graph.clear(MOVED))
        refused = graph.arm()
        case.nothing("armed with the camera moved", not refused)
        assert "it was moved by 10" in refused and "px" in refused
        case.nothing("motion with the camera moved", graph.stays(time.monotonic_ns(), 0.5) > 0.01)
    goes_on(graph)


def goes_on(graph: FaultStack) -> None:
    """Put back, it is cleared by its name, armed, and practice goes on."""
    graph.recover()
    graph.moving(rearm=False)


def test_arm_is_not_armed_before_a_camera_that_sees_something_else(stage: Stage, case: Case, tmp_path: Path) -> None:
    case.by("the reference picture of another camera")
    graph = stage.fresh(STEPS, f"camera.calibration={calibrated(tmp_path, other=True)}")
    graph.wait(lambda: bool(graph.arm()) and "another camera" in graph.arm_refused, "refused for its camera")
    case.nothing("run with another robot's calibration", graph.gate.last.armed)
    assert MOVED in graph.arm_refused and not graph.gate.last.armed
