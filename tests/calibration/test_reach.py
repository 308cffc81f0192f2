from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_calibration.reach import gripper, workspace

CORNERS = np.array([[0.15, -0.2, 0.01], [0.4, -0.2, 0.012], [0.4, 0.2, 0.011], [0.15, 0.2, 0.01]])


@given(st.lists(st.tuples(st.floats(0.1, 0.5), st.floats(-0.3, 0.3)), min_size=3, max_size=12), st.floats(0.0, 0.02))
def test_box_holds_what_was_touched_less_the_margin(points: list[tuple[float, float]], margin: float) -> None:
    touched = np.array([[x, y, 0.02] for x, y in points])
    if (np.ptp(touched[:, :2], axis=0) - 2 * margin < 0.05).any():
        with pytest.raises(ValueError, match=r"sides of 0\.05 m"):
            workspace(touched, 0.25, margin)
        return
    box = workspace(touched, 0.25, margin)
    assert np.allclose(box.low_m, [*(touched[:, :2].min(axis=0) + margin), 0.02])
    assert np.allclose(box.high_m, [*(touched[:, :2].max(axis=0) - margin), 0.27])


def test_tilt_of_the_table_is_told() -> None:
    assert workspace(CORNERS).tilt_rad == pytest.approx(0.005, abs=0.005)


@pytest.mark.parametrize(
    ("touched", "says"),
    (
        (CORNERS[:2], "at least 3, got 2"),
        (CORNERS * [1, 1, np.nan], "expected finite numbers"),
        (np.add(CORNERS, [[0, 0, 0], [0, 0, 0.1], [0, 0, 0.1], [0, 0, 0]]), "one level table, got a tilt of"),
        (np.add(CORNERS, [[0, 0, 0], [0, 0, 0.02], [0, 0, 0], [0, 0, 0.02]]), "points up to 10 mm off it"),
    ),
)
def test_touches_that_are_no_table_are_refused(touched: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        workspace(touched)


@given(st.floats(0.0, 0.02), st.floats(0.01, 0.05), st.booleans(), st.integers(0, 99))
def test_ends_of_the_gripper_are_where_it_rested(low: float, travel: float, closes_up: bool, seed: int) -> None:
    ends = np.repeat([0.0, 1.0, 0.0, 1.0], 10)
    way = np.concatenate([ends, np.linspace(0, 1, 15)])
    seen = low + travel * way + np.random.default_rng(seed).normal(0, 1e-5, len(way))
    found = gripper(seen, low + travel if closes_up else low)
    wanted = (low + travel, low) if closes_up else (low, low + travel)
    assert (found.closed_m, found.open_m) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    ("seen", "says"),
    (
        (np.full(50, 0.02), "got 0.0 mm; open and close"),
        (np.linspace(0, 0.03, 200)[1:-1:5] ** 1.0, "did not; wait at both ends"),
        (np.full(50, np.nan), "at least 20 finite readings"),
        ([0.1, 0.2], "at least 20 finite readings, got 2"),
    ),
)
def test_watching_that_says_nothing_is_refused(seen: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        gripper(seen, 0.0)
