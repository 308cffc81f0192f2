"""The RealSense source end to end: librealsense's software device, our node, a subscriber over DDS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo, Image

from armtune_drivers.settings import CameraNodeParams, CameraParams
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, EXIT_CONFIG, to_ns
from harness import Stack

try:
    import pyrealsense2  # noqa: F401
except ImportError as why:
    pytest.skip(f"pyrealsense2 does not load ({why}): constraints/robot.txt, libusb-1.0-0", allow_module_level=True)

from armtune_drivers import realsense
from fixtures.soft_realsense import DEPTH_MM, FOCAL_PX, RATE_HZ, SERIAL, SoftCamera

NODE = "fixtures.soft_realsense"


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose files tell the camera what to do."""
    folder = tmp_path / "camera"
    folder.mkdir()
    monkeypatch.setenv("SOFT_REALSENSE", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
    return folder


def params(serial: str = SERIAL, **more: object) -> CameraNodeParams:
    camera = CameraParams(source="realsense", paths=(serial,), rate_hz=30.0, stall_s=0.3, frozen_frames=5, **more)
    return CameraNodeParams(camera=camera, name="front")


def test_pictures_depth_and_true_stamps_reach_a_subscriber_at_30_hz(stack: Stack, camera: Path) -> None:
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    depths = stack.listen(topics.depth("front"), Image, CAMERA_QOS)
    infos = stack.listen(topics.camera_info("front"), CameraInfo, CAMERA_QOS)
    stack.bring_up(NODE, "camera", params(depth=True))
    stack.until(lambda: len(images) > 10, what="frames")
    start, began_ns = len(images), stack.node.get_clock().now().nanoseconds
    stack.until(lambda: len(images) >= start + 90, what="three seconds of frames")

    filmed = np.diff([images[i].data[0] for i in range(start, start + 90)]) % 256  # the camera numbers its pictures
    assert filmed.sum() <= 1.1 * 89, "hardly a picture is lost"
    stamps = np.array([to_ns(m.header.stamp) for m in images[start : start + 90]])
    assert np.median(np.diff(stamps)) / 1e9 == pytest.approx(1 / RATE_HZ, rel=0.05)
    assert abs(began_ns - stamps[0]) < 500e6, "the camera's own clock is mapped to the system's"
    picture = np.frombuffer(images[-1].data, np.uint8).reshape(480, 640, 3)
    assert images[-1].encoding == "rgb8" and picture.std() > 50
    depth = np.frombuffer(depths[-1].data, np.uint16).reshape(480, 640)
    assert depths[-1].encoding == "16UC1" and np.median(depth) == DEPTH_MM
    assert infos[-1].k[0] == FOCAL_PX and infos[-1].d[0] == pytest.approx(0.1)
    assert {to_ns(m.header.stamp) for m in depths[-5:]} & set(stamps.tolist() + [to_ns(m.header.stamp) for m in images])
    assert stack.stop("camera") == 0


@pytest.mark.parametrize(("trouble", "says"), [("stall", "stalled"), ("freeze", "frozen")])
def test_camera_that_no_longer_sees_is_said_reset_and_sees_again(
    stack: Stack, camera: Path, trouble: str, says: str
) -> None:
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    stack.bring_up(NODE, "camera", params())
    stack.until(lambda: len(images) > 10, what="frames")
    (camera / trouble).touch()
    stack.until(lambda: (camera / "resets").exists(), what="a hardware reset asked for")
    stack.until(lambda: says in stack.log("camera"), what=f"the word {says}")
    heard = len(images)
    stack.until(lambda: len(images) > heard + 10, what="frames again")


def test_camera_that_was_unplugged_is_found_again_by_its_serial(stack: Stack, camera: Path) -> None:
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    stack.bring_up(NODE, "camera", params())
    stack.until(lambda: len(images) > 10, what="frames")
    (camera / "unplug").touch()

    def absent(m: DiagnosticArray) -> bool:
        return any(f"camera {SERIAL}: not plugged in; found: none" in status.message for status in m.status)

    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, absent)
    heard = len(images)
    (camera / "unplug").unlink()
    stack.until(lambda: len(images) > heard + 10, what="frames again")


class Leaving:
    """A sensor of a camera that leaves the bus: librealsense raises RuntimeError whatever it is asked."""

    def __init__(self, sensor: Any) -> None:
        self._sensor = sensor

    def supports(self, option: Any) -> bool:
        raise RuntimeError("Device disconnected")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sensor, name)


@pytest.fixture
def soft(camera: Path) -> Iterator[SoftCamera]:
    """The camera in this process."""
    soft = SoftCamera(camera)
    yield soft
    soft.end()


def test_error_of_the_makers_library_is_a_loss_not_the_end(soft: SoftCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realsense, "devices", lambda: [soft])
    source = realsense.RealSense(params().camera, SERIAL, time.time_ns)
    source._sensors = [Leaving(sensor) for sensor in source._sensors]  # its exposure is asked for at the 30th frame
    end_s = time.monotonic() + 10.0
    while not source.trouble and time.monotonic() < end_s:
        next(source)
    assert (source.trouble, source.resets) == (f"camera {SERIAL}: Device disconnected", 1)
    while next(source) is None and time.monotonic() < end_s:
        pass
    assert source.trouble == "" and time.monotonic() < end_s, "it is found again"
    source.close()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (params("111111111111"), f"camera 111111111111: not plugged in; found: {SERIAL}"),
        (params(width_px=320, height_px=240), "no color of 320x240 at 30 Hz; it has 640x480 at 30"),
    ],
)
def test_start_is_refused_in_one_sentence(stack: Stack, camera: Path, told: CameraNodeParams, says: str) -> None:
    process = stack.start(NODE, "camera", told)
    stack.transition("camera", Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert says in stack.log("camera")
