from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from armtune_drivers.frames import open_frames
from armtune_drivers.settings import CameraParams
from armtune_policies.contract import ConfigError

pytestmark = pytest.mark.unhurried

SIZE = {"width_px": 64, "height_px": 48}


def params(source: str, path: Path, loop: bool = True) -> CameraParams:
    return CameraParams(names=("front",), source=source, paths=(str(path),), loop=loop, **SIZE)


def plain(red: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A BGR picture of one red, uint8, shape (H, W, 3)."""
    return np.full((*size, 3), (0, 0, red), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, red in enumerate((10, 20, 30)):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), plain(red))
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for red in (40, 120, 200):
        writer.write(plain(red))
    writer.release()
    return path


def test_frames_come_in_order_as_rgb_when_a_folder_is_read(folder: Path) -> None:
    reds = [int(frame[0, 0, 0]) for frame in open_frames(params("files", folder, loop=False), "front")]
    assert reds == [10, 20, 30]


def test_frames_start_again_when_a_folder_loops(folder: Path) -> None:
    frames = itertools.islice(open_frames(params("files", folder), "front"), 5)
    assert [int(frame[0, 0, 0]) for frame in frames] == [10, 20, 30, 10, 20]


def test_frames_come_in_order_when_a_video_is_read(video: Path) -> None:
    reds = [float(frame[..., 0].mean()) for frame in open_frames(params("video", video, loop=False), "front")]
    assert reds == pytest.approx([40, 120, 200], abs=6)


def test_frames_start_again_when_a_video_loops(video: Path) -> None:
    frames = list(itertools.islice(open_frames(params("video", video), "front"), 4))
    assert float(frames[3][..., 0].mean()) == pytest.approx(40, abs=6)


@pytest.mark.parametrize("source", ["files", "video", "uvc"])
def test_opening_says_what_is_missing_when_the_path_does_not_exist(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such") as refused:
        open_frames(params(source, tmp_path / "absent"), "front")
    assert "\n" not in str(refused.value)


def test_opening_refuses_when_the_folder_is_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \.png"):
        open_frames(params("files", tmp_path), "front")


def test_opening_refuses_when_an_image_is_truncated(folder: Path) -> None:
    first = folder / "000.png"
    first.write_bytes(first.read_bytes()[:40])
    with pytest.raises(ConfigError, match="truncated"):
        open_frames(params("files", folder), "front")


def test_opening_refuses_when_a_video_is_not_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(b"not a video")
    with pytest.raises(ConfigError, match="not a video"):
        open_frames(params("video", path), "front")


def test_opening_says_both_sizes_when_frames_are_of_another_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), plain(1, size=(24, 32)))
    with pytest.raises(ConfigError, match="expected 64x48 pixels, got 32x24"):
        open_frames(params("files", tmp_path), "front")


def test_opening_refuses_when_the_device_is_not_a_camera(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="not a camera"):
        open_frames(params("uvc", path), "front")


def test_opening_refuses_when_the_simulator_makes_the_frames() -> None:
    with pytest.raises(ConfigError, match="source 'sim'"):
        open_frames(CameraParams(), "front")
