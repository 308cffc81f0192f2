"""The arm's own ways end, wherever they begin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.episode.motion import Strokes, WayHome

HOME = np.array([0.0, 0.5, 1.0])


def test_hand_lets_go_where_it_is_before_the_arm_moves() -> None:
    way, at = WayHome(HOME, 0.02, 0.1, patience=9), np.array([0.4, 0.1, 0.2])
    assert way.target(at).tolist() == [0.4, 0.1, 1.0]
    assert way.target(np.array([0.41, 0.1, 0.6])).tolist() == [0.4, 0.1, 1.0]
    assert way.target(np.array([0.4, 0.1, 0.95])).tolist() == HOME.tolist()
    assert way.target(np.array([0.2, 0.3, 0.5])).tolist() == HOME.tolist(), "once let go, it goes home"
    assert way.is_there(HOME) and not way.is_there(np.array([0.0, 0.5, np.nan]))


def test_arm_goes_home_all_the_same_when_the_hand_cannot_open() -> None:
    way, at = WayHome(HOME, 0.02, 0.1, patience=3), np.array([0.4, 0.1, 0.0])
    assert [way.target(at).tolist() == HOME.tolist() for _ in range(5)] == [False] * 3 + [True] * 2


@given(st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3), max_size=6), st.floats(0.0, 1.0))
def test_strokes_end_within_bounds_however_well_the_hand_follows(points: list[tuple], follows: float) -> None:
    high = np.array([0.05, 0.05, 0.05, 0.25, 0.25, 0.25, 1.0])
    low = np.append(-high[:-1], 0.0)
    strokes, at, deltas = Strokes(np.array(points).reshape(-1, 3), low, high), np.zeros(3), []
    while (delta := strokes.delta(at)) is not None:
        assert (delta >= low).all() and (delta <= high).all() and not delta[3:].any()
        deltas.append(delta)
        at = at + follows * delta[:3]
        assert len(deltas) < 2000
    if follows == 1.0 and points:
        assert np.linalg.norm(at - points[-1]) < 0.03
