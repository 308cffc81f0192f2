from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo, Image

from armtune_drivers.settings import CameraNodeParams, CameraParams
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, EXIT_CONFIG, EXIT_FAILED, to_ns, to_stamp
from harness import Stack

NODE = "armtune_drivers.camera_node"


def settings(folder: Path, loop: bool = True) -> CameraNodeParams:
    camera = CameraParams(source="files", paths=(str(folder),), width_px=64, height_px=48, rate_hz=50.0, loop=loop)
    return CameraNodeParams(camera=camera, name="front")


def pictures(folder: Path) -> Path:
    folder.mkdir()
    for red in (50, 100):
        cv2.imwrite(str(folder / f"{red}.png"), np.full((48, 64, 3), (0, 0, red), np.uint8))
    return folder


def test_images_and_infos_share_stamps_when_a_folder_is_played(stack: Stack, tmp_path: Path) -> None:
    infos = stack.listen(topics.camera_info("front"), CameraInfo, CAMERA_QOS)
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    stack.bring_up(NODE, "camera", settings(pictures(tmp_path / "in")))
    stack.until(lambda: len(images) > 5 and len(infos) > 5, what="frames")

    assert {images[0].encoding, images[0].header.frame_id} == {"rgb8", "front_optical"}
    assert {int(np.frombuffer(image.data, np.uint8)[0]) for image in images} == {50, 100}
    stamps = [to_ns(image.header.stamp) for image in images]
    assert stamps == sorted(set(stamps))
    assert {to_ns(info.header.stamp) for info in infos[:5]} & set(stamps)
    assert stack.stop("camera") == 0


def test_node_ends_with_a_sentence_when_the_folder_is_missing(stack: Stack, tmp_path: Path) -> None:
    process = stack.start(NODE, "camera", settings(tmp_path / "absent"))
    stack.transition("camera", Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert "no such folder of images" in stack.log("camera")


def test_node_ends_with_a_sentence_when_a_picture_claims_more_than_anybody_decodes(
    stack: Stack, tmp_path: Path
) -> None:
    folder = pictures(tmp_path / "in")
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "99.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
    process = stack.start(NODE, "camera", settings(folder))
    for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        stack.transition("camera", step)
    assert process.wait(timeout=10) == EXIT_FAILED
    assert "99.png: not an image OpenCV can read, or truncated" in stack.log("camera")


def test_frames_come_again_when_the_node_is_reactivated(stack: Stack, tmp_path: Path) -> None:
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    stack.bring_up(NODE, "camera", settings(pictures(tmp_path / "in")))
    stack.until(lambda: bool(images), what="frames")
    stack.transition("camera", Transition.TRANSITION_DEACTIVATE)
    stack.transition("camera", Transition.TRANSITION_ACTIVATE)
    heard = len(images)
    stack.until(lambda: len(images) > heard, what="frames after activating again")


def test_another_drivers_camera_comes_out_under_our_names_with_its_stamps_and_its_lens(stack: Stack) -> None:
    camera = CameraParams(source="topic", paths=("/theirs/image_raw",), width_px=64, height_px=48, stall_s=0.3)
    images = stack.listen(topics.image("front"), Image, CAMERA_QOS)
    infos = stack.listen(topics.camera_info("front"), CameraInfo, CAMERA_QOS)
    theirs = stack.node.create_publisher(Image, "/theirs/image_raw", 5)
    lens = stack.node.create_publisher(CameraInfo, "/theirs/camera_info", 5)
    stack.bring_up(NODE, "camera", CameraNodeParams(camera=camera, name="front"))
    process = stack.processes["camera"]
    sent: list[int] = []

    def film(encoding: str = "bgr8") -> None:
        sent.append(1_000_000_000 + len(sent))
        data = np.full((48, 64, 3), (0, 0, len(sent) % 256), np.uint8)
        picture = Image(height=48, width=64, encoding=encoding, step=192, data=data.tobytes())
        picture.header.stamp = to_stamp(sent[-1])
        lens.publish(CameraInfo(k=[500.0, 0.0, 32.0, 0.0, 500.0, 24.0, 0.0, 0.0, 1.0], d=[0.0] * 5))
        theirs.publish(picture)

    def seen() -> bool:
        film()
        return len(images) > 10 and any(info.k[0] == 500.0 for info in infos)

    stack.until(seen, what="their pictures and their lens")
    assert images[-1].encoding == "rgb8" and images[-1].header.frame_id == "front_optical"
    assert {to_ns(image.header.stamp) for image in images} <= set(sent)
    red = [int(np.frombuffer(image.data, np.uint8)[0]) for image in images]
    assert red == [(to_ns(image.header.stamp) - 1_000_000_000 + 1) % 256 for image in images]

    def stalled(m: DiagnosticArray) -> bool:
        return any("/theirs/image_raw: stalled" in status.message for status in m.status)

    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, stalled)

    def ended() -> bool:
        film("mono8")
        return process.poll() is not None

    stack.until(ended, what="the end, for a picture it cannot read")
    assert process.returncode == EXIT_FAILED and "got 'mono8'" in stack.log("camera")
