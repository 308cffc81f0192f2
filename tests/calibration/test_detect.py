from __future__ import annotations

import cv2
import numpy as np
import pytest
from board_views import BOARD
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from armtune_calibration.board import BoardParams
from armtune_calibration.detect import detect, sharpness

SQUARE_PX = 80


def warped(board: BoardParams, seed: int, blur: float = 0.6) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a board pulled out of shape onto a grey picture, and where each corner went [px]."""
    rng = np.random.default_rng(seed)
    flat = np.pad(board.picture(SQUARE_PX), SQUARE_PX // 2, constant_values=255)
    high, wide = flat.shape
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    onto = np.array([[90, 60], [550, 60], [550, 400], [90, 400]], np.float32) + rng.uniform(-50, 50, (4, 2))
    plane = cv2.getPerspectiveTransform(corners, onto.astype(np.float32))
    fine = np.diag([2.0, 2.0, 1.0])
    fine[:2, 2] = 0.5
    seen = cv2.warpPerspective(flat, fine @ plane, (1280, 960), borderValue=128)
    seen = cv2.GaussianBlur(cv2.resize(seen, (640, 480), interpolation=cv2.INTER_AREA), (0, 0), blur)
    seen = np.clip(seen + rng.normal(0, 3, seen.shape), 0, 255).astype(np.uint8)
    where = board.corners_m[:, :2] / board.square_m * SQUARE_PX + SQUARE_PX / 2 - 0.5
    there = np.column_stack([where, np.ones(len(where))]) @ plane.T
    return seen, there[:, :2] / there[:, 2:]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_corners_are_found_to_parts_of_a_pixel(seed: int) -> None:
    picture, truth = warped(BOARD, seed)
    found = detect(picture, BOARD)
    assert len(found) >= 20
    off = np.linalg.norm(found.px - truth[found.ids], axis=1)
    assert np.median(off) < 0.12 and off.max() < 0.6


def test_part_of_a_board_is_enough() -> None:
    picture, truth = warped(BOARD, 1)
    picture[:, 360:] = 128
    found = detect(picture, BOARD)
    assert 8 <= len(found) < 20
    assert np.linalg.norm(found.px - truth[found.ids], axis=1).max() < 0.6


def test_nothing_is_found_where_there_is_no_board() -> None:
    assert len(detect(np.full((480, 640, 3), 128, np.uint8), BOARD)) == 0


@pytest.mark.parametrize(
    "other",
    (BoardParams(columns=5, rows=7), BoardParams(columns=11, rows=8, square_m=0.02, marker_m=0.016)),
    ids=("turned", "larger"),
)
def test_another_board_is_refused_in_one_sentence(other: BoardParams) -> None:
    picture, _ = warped(other, 2)
    with pytest.raises(ValueError, match="expected the board of 8 x 6 squares with 4x4 markers, got another") as why:
        detect(picture, BOARD)
    assert "\n" not in str(why.value)


def test_blurred_picture_is_less_sharp() -> None:
    assert sharpness(warped(BOARD, 3, blur=0.5)[0]) > 2 * sharpness(warped(BOARD, 3, blur=3.0)[0])
