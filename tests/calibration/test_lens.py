"""Lenses: from computed corners, and from real photographs where this machine has some."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from board_views import BOARD, SIZE_PX, made

from armtune_calibration.board import BoardParams
from armtune_calibration.coverage import coverage
from armtune_calibration.detect import Corners
from armtune_calibration.lens import solve_lens

PHOTOGRAPHS = Path(os.environ.get("ARMTUNE_CHESSBOARDS", "/usr/share/doc/opencv-doc/examples/data"))
CHESS = BoardParams(columns=10, rows=7, square_m=0.025, marker_m=0.018)
"""9 x 6 inner corners, as those photographs show; corners count along the rows, as OpenCV finds them."""


def test_focal_length_is_found_and_its_deviation_is_honest() -> None:
    off = []
    for seed in range(12):
        one = made(seed)
        lens = solve_lens(one.views, BOARD, SIZE_PX).lens
        off.append((lens.values[0] - one.focal_px) / lens.sd[0])
        assert abs(lens.values[0] / one.focal_px - 1) < 0.01
    assert np.abs(off).max() < 4.0 and 0.4 < np.std(off) < 1.8


def test_view_that_fits_much_worse_is_left_out() -> None:
    one = made(3)
    one.views[5] = Corners(
        one.views[5].ids, one.views[5].px + np.random.default_rng(0).normal(0, 3, one.views[5].px.shape)
    )
    assert solve_lens(one.views, BOARD, SIZE_PX).kept == tuple(i for i in range(14) if i != 5)


@pytest.mark.parametrize(
    ("views", "says"),
    (
        (made(0).views[:3], "at least 5 views that show the board, got 3"),
        ([made(0).views[0]] * 6, "of the picture, got"),
    ),
)
def test_views_that_cannot_say_are_refused_in_one_sentence(views: list[Corners], says: str) -> None:
    with pytest.raises(ValueError, match=says) as why:
        solve_lens(views, BOARD, SIZE_PX)
    assert "\n" not in str(why.value)


def test_flat_views_are_refused_for_they_cannot_tell_focal_length_from_distance() -> None:
    ids, flat = np.arange(len(BOARD.corners_m)), BOARD.corners_m[:, :2] * 1200
    views = [Corners(ids, flat + shift) for shift in ([20, 20], [350, 20], [20, 280], [350, 280], [180, 150])]
    with pytest.raises(ValueError, match="tilt the board, or the camera, by 30 degrees"):
        solve_lens(views, BOARD, SIZE_PX)


def test_meter_says_what_is_still_wanted_and_when_there_is_enough() -> None:
    one = made(1, count=30)
    first, last = (coverage(one.views[:n], BOARD, SIZE_PX) for n in (3, 30))
    assert first.lacks[0] == "7 more views" and first.share < last.share <= 1.0
    assert "wanted: 7 more views" in first.meter()
    assert last.tilted >= 4 and "3 views" in first.meter()


@pytest.mark.parametrize("side", ("left", "right"))
def test_photographs_are_explained_as_well_as_by_opencvs_own_sample(side: str) -> None:
    files = sorted(PHOTOGRAPHS.glob(f"{side}[0-9]*.jpg"))
    if not files:
        pytest.skip(
            f"no chessboard photographs in {PHOTOGRAPHS}: apt-get install opencv-doc, or set ARMTUNE_CHESSBOARDS"
        )
    views, size = [], (0, 0)
    for file in files:
        grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        found, corners = cv2.findChessboardCorners(grey, (9, 6))
        assert found, file
        until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 30, 0.1)  # as samples/python/calibrate.py has it
        corners = cv2.cornerSubPix(grey, corners, (5, 5), (-1, -1), until)
        views.append(Corners(np.arange(54), corners.reshape(-1, 2).astype(float)))
        size = grey.shape[::-1]
    points = [CHESS.corners_m.astype(np.float32)] * len(views)
    sample, *_ = cv2.calibrateCamera(points, [v.px.astype(np.float32) for v in views], size, None, None)
    ours = solve_lens(views, CHESS, size)
    assert len(ours.kept) == len(views)
    assert round(ours.lens.rms_px, 2) <= round(sample, 2)  # theirs has a parameter more, k3
    assert 0.05 < ours.lens.sd[0] < 2.0
