"""Each limit acts when it must, says so, and lets the arm back in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruckig import InputParameter, Ruckig, Trajectory

from armtune_safety import limits, rotations

LOW, HIGH = (0.1, -0.3, 0.0), (0.5, 0.3, 0.4)
metres = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)
turns = st.tuples(*[st.floats(-1.5, 1.5)] * 3).map(rotations.exp)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(7))
def test_whole_frame_is_refused_when_one_number_is_not_finite(bad: float, place: int) -> None:
    values = [0.0] * 7
    values[place] = bad
    assert f"place {place}" in limits.unreadable(values, 7)


def test_frame_is_refused_when_it_is_short() -> None:
    assert limits.unreadable([0.0] * 6, 7) == "expected 7 numbers, got 6"


@given(metres, metres)
def test_position_ends_inside_and_slides_when_it_started_inside(target: np.ndarray, ref: np.ndarray) -> None:
    ref = np.clip(ref, LOW, HIGH)
    kept, name = limits.position(target, ref, LOW, HIGH)
    assert limits.outside(kept, LOW, HIGH) <= 0.0
    assert np.array_equal(kept, np.clip(target, LOW, HIGH))
    assert (name == "") == np.array_equal(kept, target)


def test_position_may_come_back_but_not_go_further_when_it_is_outside() -> None:
    ref = np.array([0.6, 0.0, 0.2])
    back, name = limits.position(np.array([0.55, 0.0, 0.2]), ref, LOW, HIGH)
    assert name == "" and back[0] == 0.55
    away, name = limits.position(np.array([0.65, 0.0, 0.2]), ref, LOW, HIGH)
    assert name == "workspace" and away[0] == 0.6


@given(turns, turns)
def test_orientation_stays_within_its_angle(target: np.ndarray, ref: np.ndarray) -> None:
    centre = rotations.exp([0.0, 1.0, 0.0])
    kept, name = limits.orientation(target, ref, centre, 0.7)
    widest = max(0.7, rotations.angle_rad(centre, ref))
    assert rotations.angle_rad(centre, kept) <= widest + 1e-9
    assert (name == "") == (rotations.angle_rad(centre, target) <= widest)


@given(st.tuples(*[st.floats(-1e6, 1e6)] * 6).map(np.array))
def test_delta_keeps_its_direction_when_it_is_shrunk(delta: np.ndarray) -> None:
    high = np.array([0.05] * 3 + [0.25] * 3)
    kept, name = limits.bounds(delta, high)
    assert np.all(np.abs(kept) <= high * (1 + 1e-12))
    assert (name == "") == bool(np.all(np.abs(delta) <= high))
    for part in (slice(0, 3), slice(3, 6)):
        size = np.linalg.norm(delta[part]) * np.linalg.norm(kept[part])
        assert np.dot(delta[part], kept[part]) == pytest.approx(size, rel=1e-6, abs=1e-12)


def test_joint_step_shortens_all_joints_alike_when_one_is_too_far() -> None:
    kept, name = limits.joint_step(np.zeros(2), np.array([1.0, 0.5]), np.array([0.5, 0.5]))
    assert name == "joint speed" and kept == pytest.approx([0.5, 0.25])


@pytest.mark.parametrize("within_s", [0.02, 0.1, 0.2, 1.0])
@pytest.mark.parametrize("v", [0.3, 3.0])
@pytest.mark.parametrize("a", [5.0, 60.0])
@pytest.mark.parametrize("j", [50.0, 5000.0])
def test_reach_is_how_far_ruckig_gets_from_rest_to_rest(within_s: float, v: float, a: float, j: float) -> None:
    far = float(limits.reachable_rad(np.array(v), np.array(a), np.array(j), within_s))
    wish = InputParameter(1)
    wish.max_velocity, wish.max_acceleration, wish.max_jerk, wish.target_position = [v], [a], [j], [far]
    plan = Trajectory(1)
    Ruckig(1).calculate(wish, plan)
    assert plan.duration == pytest.approx(within_s, rel=1e-6)


def test_room_is_that_of_the_joint_nearest_to_a_limit() -> None:
    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    assert limits.joint_room(np.array([0.2, -0.9]), low, high) == pytest.approx(0.1)
    assert limits.joint_room(np.array([1.1, 0.0]), low, high) == pytest.approx(-0.1)
