"""A camera says what was measured of it, is refused when it is another one, and tells the gate when it was moved."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo, Image

from armtune_calibration.record import Calibration, CameraRecord, LensRecord, PlaceRecord, PoseRecord, load, save
from armtune_drivers.calibrated import check, serial_of
from armtune_drivers.checking import IN_A_ROW, OLD_S, Check, Fresh
from armtune_drivers.settings import CameraCheckParams, CameraNodeParams, CameraParams
from armtune_interfaces.msg import EpisodeState
from armtune_policies.contract import ConfigError, topics
from armtune_safety.managed_node import CAMERA_QOS, EXIT_CONFIG, LATCHED_QOS
from harness import Stack

NODE, CHECK = "armtune_drivers.camera_node", "armtune_drivers.camera_check_node"
WIDE, HIGH = 320, 240


def scene() -> np.ndarray:
    """Something to look at, uint8 rgb (240, 320, 3)."""
    rng, picture = np.random.default_rng(0), np.full((HIGH, WIDE, 3), 150, np.uint8)
    for _ in range(80):
        at, size = rng.integers(0, (WIDE, HIGH)), rng.integers(8, 40, 2)
        cv2.rectangle(picture, at.tolist(), (at + size).tolist(), rng.integers(20, 240, 3).tolist(), -1)
    return picture


SCENE = scene()


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """A calibration of camera ``front``, serial S1, with a reference picture."""
    _, png = cv2.imencode(".png", SCENE[..., ::-1])
    place = PlaceRecord(kind="scene", picture="front-1.png", sha256=hashlib.sha256(png.tobytes()).hexdigest())
    lens = LensRecord(
        fx_px=300.0, fy_px=301.0, cx_px=160.0, cy_px=119.0, distortion=(-0.1, 0.02, 0.001, -0.002, 0.0),
        sd=(0.5,) * 8, rms_px=0.2, views=15,
    )  # fmt: skip
    pose = PoseRecord(
        parent="base",
        position_m=(0.7, -0.1, 0.5),
        quaternion_xyzw=(1.0, 0.0, 0.0, 0.0),
        covariance=(0.0,) * 36,
        views=15,
    )
    front = CameraRecord(name="front", serial="S1", width_px=WIDE, height_px=HIGH, lens=lens, pose=pose, place=place)
    one = Calibration(robot_id="arm-1", robot="wx250s", made="", cameras=(front,))
    return save(one, tmp_path / "data", {"front-1.png": png.tobytes()})


def camera(tmp_path: Path, calibration: Path, serial: str, width_px: int = WIDE) -> CameraNodeParams:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), cv2.resize(SCENE[..., ::-1], (width_px, HIGH)))
    (folder / "serial").write_text(f"{serial}\n")
    params = CameraParams(
        source="files", paths=(str(folder),), width_px=width_px, height_px=HIGH, calibration=str(calibration)
    )
    return CameraNodeParams(camera=params, name="front")


def test_camera_info_and_place_are_those_of_the_file(stack: Stack, tmp_path: Path, calibration: Path) -> None:
    infos = stack.listen(topics.camera_info("front"), CameraInfo, CAMERA_QOS)
    places = stack.listen(topics.extrinsics("front"), TransformStamped, LATCHED_QOS)
    stack.bring_up(NODE, "camera", camera(tmp_path, calibration, "S1"))
    stack.until(lambda: bool(infos and places), what="info and place")
    assert list(infos[0].k) == [300.0, 0.0, 160.0, 0.0, 301.0, 119.0, 0.0, 0.0, 1.0]
    assert list(infos[0].d) == [-0.1, 0.02, 0.001, -0.002, 0.0] and infos[0].distortion_model == "plumb_bob"
    assert (infos[0].width, infos[0].height, infos[0].header.frame_id) == (WIDE, HIGH, "front_optical")
    assert (places[0].header.frame_id, places[0].child_frame_id) == ("base_link", "front_optical")
    assert places[0].transform.translation.x == 0.7 and places[0].transform.rotation.x == 1.0


@pytest.mark.parametrize(
    ("serial", "width_px", "says"),
    (
        ("S2", WIDE, "expected serial number S1, as calibrated, got S2"),
        ("S1", 2 * WIDE, "calibrated at 320x240 pixels, configured for 640x240"),
    ),
)
def test_camera_that_was_not_calibrated_ends_with_a_sentence(
    stack: Stack, tmp_path: Path, calibration: Path, serial: str, width_px: int, says: str
) -> None:
    process = stack.start(NODE, "camera", camera(tmp_path, calibration, serial, width_px))
    stack.transition("camera", Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert says in stack.log("camera")


def test_device_without_a_serial_is_refused_when_the_calibration_names_one(calibration: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected serial number S1, as calibrated, got none"):
        params = CameraParams(source="files", paths=(str(tmp_path),))
        check(load(calibration).camera("front"), WIDE, HIGH, serial_of(params, "front"))


def test_realsense_is_named_by_its_serial() -> None:
    assert serial_of(CameraParams(source="realsense", paths=("1234",)), "front") == "1234"


def test_one_bad_picture_is_passed_over_and_three_are_not(calibration: Path) -> None:
    one = Check(CameraParams(calibration=str(calibration)), "front")
    assert one.why == "not looked at yet"
    one.look(SCENE)
    assert one.why == "" and one.off_px < 0.1
    for _ in range(IN_A_ROW - 1):
        one.look(np.roll(SCENE, 8, axis=1))
        assert one.why == ""
    one.look(np.roll(SCENE, 8, axis=1))
    assert "it was moved by 8.0 px" in one.why
    one.look(SCENE)
    assert one.why == ""


def test_look_grows_old_and_a_picture_that_a_sensor_repeats_is_none() -> None:
    live, still = Fresh(True, 0.0), Fresh(False, 0.0)
    assert live.is_new(SCENE) and not live.is_new(SCENE) and live.is_new(np.roll(SCENE, 1, axis=1))
    assert still.is_new(SCENE) and still.is_new(SCENE), "a folder of pictures has no noise"
    live.note(5.0)
    assert live.why(5.0 + OLD_S) == "" and "not looked at for 10 s" in live.why(5.1 + OLD_S)
    live.note(30.0)
    assert live.why(30.0) == ""


def test_edited_reference_is_refused(calibration: Path) -> None:
    picture = calibration.parent / "front-1.png"
    picture.write_bytes(picture.read_bytes() + b"x")
    with pytest.raises(ConfigError, match="edited or damaged"):
        Check(CameraParams(calibration=str(calibration)), "front")


def test_node_says_moved_between_episodes_only(stack: Stack, calibration: Path) -> None:
    said = stack.listen(topics.CAMERA_CHECK, DiagnosticArray, LATCHED_QOS)
    params = CameraParams(calibration=str(calibration), width_px=WIDE, height_px=HIGH)
    stack.bring_up(CHECK, "checks", CameraCheckParams(camera=params, checked_cameras=("front",)))
    stack.until(lambda: bool(said), what="first word")
    assert said[0].status[0].level == DiagnosticStatus.ERROR and said[0].status[0].message == "not looked at yet"
    pictures = stack.publisher(topics.image("front"), Image, CAMERA_QOS)
    episodes = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)

    def show(pixels: np.ndarray) -> bool:
        pictures.publish(Image(height=HIGH, width=WIDE, encoding="rgb8", step=3 * WIDE, data=pixels.tobytes()))
        return False

    def until(level: bytes, pixels: np.ndarray) -> None:
        stack.until(lambda: said[-1].status[0].level == level or show(pixels), what=f"level {level!r}")

    until(DiagnosticStatus.OK, SCENE)
    episodes.publish(EpisodeState(phase=EpisodeState.ACTING))
    heard = len(said)
    with pytest.raises(AssertionError, match="level"):
        stack.until(
            lambda: said[-1].status[0].level == DiagnosticStatus.ERROR or show(np.roll(SCENE, 8, axis=1)),
            timeout_s=2.0, what="level",
        )  # fmt: skip
    assert len(said) == heard
    episodes.publish(EpisodeState(phase=EpisodeState.HOMING))
    until(DiagnosticStatus.ERROR, np.roll(SCENE, 8, axis=1))
    assert "it was moved by 8.0 px" in said[-1].status[0].message and said[-1].status[0].name == "front"
