"""A moved camera is told, and by how much; an arm in the picture, another light or things moved are not mistaken."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from board_views import BOARD
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from armtune_calibration.place import Place, px_per_mm
from armtune_calibration.record import CameraRecord, LensRecord, PoseRecord

Picture = NDArray[np.uint8]


def scene(seed: int = 0) -> Picture:
    """A table's worth of blobs and edges, noise aside; uint8 (480, 640, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 150, np.uint8)
    for _ in range(120):
        at, size = rng.integers(0, (640, 480)), rng.integers(8, 60, 2)
        colour = rng.integers(20, 240, 3).tolist()
        cv2.rectangle(picture, at.tolist(), (at + size).tolist(), colour, -1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def moved(picture: Picture, x: float, y: float, turn_deg: float = 0.0, seed: int = 1) -> Picture:
    way = cv2.getRotationMatrix2D((320, 240), turn_deg, 1.0)
    way[:, 2] += (x, y)
    seen = cv2.warpAffine(picture, way, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(seen + np.random.default_rng(seed).normal(0, 3, seen.shape), 0, 255).astype(np.uint8)


SCENE = scene()
PLACE = Place(SCENE)


@settings(max_examples=15, deadline=None)
@given(st.floats(-12, 12), st.floats(-12, 12))
def test_how_far_the_camera_went_is_told_to_half_a_pixel(x: float, y: float) -> None:
    found = PLACE.compare(moved(SCENE, x, y))
    assert found.off_px == pytest.approx(np.hypot(x, y), abs=0.5)
    assert (found.why(3.0) == "") == (found.off_px <= 3.0)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.4, 1.3), st.integers(0, 340), st.integers(0, 240))
def test_arm_before_the_camera_and_another_light_are_no_motion(light: float, x: int, y: int) -> None:
    seen = np.clip(moved(SCENE, 0, 0).astype(float) * light, 0, 255).astype(np.uint8)
    seen[y : y + 240, x : x + 300] = 30  # a quarter of the picture
    assert PLACE.compare(seen).why(3.0) == ""


def test_turned_camera_is_told() -> None:
    assert "it was moved by" in PLACE.compare(moved(SCENE, 0, 0, turn_deg=3.0)).why(3.0)


@pytest.mark.parametrize(
    "other", (scene(7), np.zeros_like(SCENE), moved(SCENE, 200, 100)), ids=("other", "black", "far")
)
def test_camera_that_sees_something_else_is_refused(other: Picture) -> None:
    assert "moved, covered, or is another camera" in PLACE.compare(other).why(3.0)


def test_scene_without_features_and_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 40 features to go by"):
        Place(np.full((480, 640, 3), 90, np.uint8))
    with pytest.raises(ValueError, match=r"expected \(640, 480\) pixels as the reference"):
        PLACE.compare(SCENE[:240, :320])


def test_markers_tell_how_far_it_went_however_far() -> None:
    bare = np.full((480, 640, 3), 200, np.uint8)
    bare[100:300, 150:430] = cv2.resize(BOARD.picture(40), (280, 200))[:, :, None]
    place = Place(bare, "marker")
    assert place.compare(moved(bare, 0.3, 0.0)).why(3.0) == ""
    assert place.compare(moved(bare, 120.0, 50.0)).off_px == pytest.approx(130.0, abs=1.0)
    assert "covered" in place.compare(np.full_like(bare, 200)).why(3.0)
    with pytest.raises(ValueError, match="expected ArUco markers"):
        Place(np.full_like(bare, 200), "marker")


def test_bound_in_millimetres_counts_where_the_table_is_known() -> None:
    lens = LensRecord(
        fx_px=600, fy_px=600, cx_px=319.5, cy_px=239.5, distortion=(0.0,) * 5, sd=(0.1,) * 8, rms_px=0.2, views=9
    )
    down = PoseRecord(
        parent="base", position_m=(0.3, 0, 0.6), quaternion_xyzw=(1.0, 0, 0, 0), covariance=(0.0,) * 36, views=9
    )
    camera = CameraRecord(name="front", width_px=640, height_px=480, lens=lens, pose=down)
    assert px_per_mm(camera) == pytest.approx(1.0) and px_per_mm(camera, table_m=0.3) == pytest.approx(2.0)
    assert px_per_mm(CameraRecord(name="front", width_px=640, height_px=480, lens=lens)) == 0.0
    two = PLACE.compare(moved(SCENE, 2.0, 0.0))
    assert two.why(3.0, 1.0, 5.0) == "" and "2.0 px or 2.0 mm at the table" in two.why(3.0, 1.0, 1.5)
