"""The arm's own ways end, wherever they begin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.episode.motion import HELD, Leg, Route, WayHome, pushing

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


HIGH = np.array([0.05, 0.05, 0.05, 0.25, 0.25, 0.25, 1.0])
LOW = np.append(-HIGH[:-1], 0.0)


@given(st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3, st.floats(0.0, 1.0)), max_size=6), st.floats(0.0, 1.0))
def test_route_ends_within_bounds_however_well_the_hand_follows(points: list[tuple], follows: float) -> None:
    legs = [Leg(point[:3], point[3]) for point in points]
    route, at, deltas = Route(legs, LOW, HIGH), np.zeros(7), []
    while (delta := route.delta(at)) is not None:
        assert (delta >= LOW).all() and (delta <= HIGH).all() and not delta[3:6].any()
        deltas.append(delta)
        at[:3] += follows * delta[:3]
        at[-1] += follows * (delta[-1] - at[-1])
        assert len(deltas) < 2000
    assert len(route.passed) == len(points)
    if follows == 1.0 and points:
        assert np.linalg.norm(at[:3] - points[-1][:3]) < 0.03 and abs(at[-1] - points[-1][3]) < 0.03


def along(route: Route, thinnest: float) -> int:
    """Follow a route with a hand that shuts as far as what is in it lets it; return its periods."""
    at = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    for count in range(99):
        if (delta := route.delta(at)) is None:
            return count
        at[:3] += delta[:3]
        at[-1] = max(at[-1] + np.clip(delta[-1] - at[-1], -0.3, 0.3), thinnest)
    raise AssertionError("it did not end")


def test_hand_shuts_before_the_route_goes_on_and_what_it_holds_keeps_it_open() -> None:
    for thick in (0.0, 0.5):
        route = Route([Leg((0.0, 0.0, 0.0), 0.0), Leg((0.0, 0.0, 0.1), 0.0)], LOW, HIGH)
        assert along(route, thick) < 12
        shut, lifted = route.passed
        assert shut[-1] == lifted[-1] == thick and shut[2] == 0.0 < lifted[2]


def test_route_ends_where_nothing_is_in_the_hand_that_should_hold_something() -> None:
    legs = [Leg((0.0, 0.0, 0.0), 0.0, holds=True), Leg((0.0, 0.0, 0.1), 1.0)]
    empty, full = Route(legs, LOW, HIGH), Route(legs, LOW, HIGH)
    along(empty, HELD / 2)
    along(full, 2 * HELD)
    assert (len(empty.passed), len(full.passed)) == (1, 2)


def test_pushing_hand_is_shut() -> None:
    assert pushing(np.array([[0.1, 0.2, 0.3]])) == (Leg((0.1, 0.2, 0.3), 0.0),)
