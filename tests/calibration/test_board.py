from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_calibration.board import BoardParams
from armtune_policies.contract import ConfigError

POINTS_PER_MM = 72 / 25.4


@settings(max_examples=8, deadline=None)
@given(st.integers(3, 9), st.integers(3, 7), st.sampled_from(["4x4", "5x5", "6x6"]))
def test_ink_as_rectangles_is_the_board_as_a_picture(columns: int, rows: int, dictionary: str) -> None:
    board = BoardParams(columns=columns, rows=rows, square_m=0.04, marker_m=0.028, dictionary=dictionary)
    px = 200
    seen = board.picture(px)
    drawn = np.full(seen.shape, 255, np.uint8)
    for x, y, wide, high in board.black_m():
        x0, y0, x1, y1 = (round(v / 0.04 * px) for v in (x, y, x + wide, y + high))
        assert drawn[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].min(initial=255) == 255, "rectangles overlap"
        drawn[y0:y1, x0:x1] = 0
    assert (drawn != seen).mean() < 0.02  # OpenCV rounds its markers to whole pixels


def test_page_has_the_exact_size_and_draws_in_vectors() -> None:
    page = BoardParams().pdf("a4")
    size = [float(v) for v in re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", page).groups()]  # type: ignore[union-attr]
    assert size == pytest.approx([297 * POINTS_PER_MM, 210 * POINTS_PER_MM], abs=0.01)
    assert page.startswith(b"%PDF") and b"/Subtype /Image" not in page


@pytest.mark.parametrize(
    ("settings_", "says"),
    (
        ({"marker_m": 0.03}, "marker_m: expected less than 0.9 of square_m"),
        ({"columns": 12, "rows": 10}, "4x4 has 50 markers, the board needs 60"),
        ({"dictionary": "7x7"}, "dictionary: expected one of 4x4, 5x5, 6x6"),
        ({"square_m": float("nan")}, "square_m: expected a finite number"),
    ),
)
def test_board_that_cannot_be_is_refused(settings_: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        BoardParams(**settings_)


def test_paper_that_is_too_small_says_what_it_holds() -> None:
    with pytest.raises(ConfigError, match=r"400 x 240 mm, but a4 holds 277 x 180 mm"):
        BoardParams(columns=10, rows=6, square_m=0.04).pdf("a4")
