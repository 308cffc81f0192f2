"""The motion keeps speed, acceleration and jerk, arrives on time and does not overshoot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from derivatives import assert_kept
from hypothesis import given
from hypothesis import strategies as st

from armtune_safety.limits import reachable_rad
from armtune_safety.motion import Motion

V, A, J, DT = np.array([3.0, 2.0, 4.0]), np.array([40.0, 10.0, 80.0]), np.array([4000.0, 200.0, 1600.0]), 0.01
START = np.zeros(3)
spots = st.tuples(*[st.one_of(st.floats(-3, 3), st.floats(-0.2, 0.2), st.just(0.0))] * 3).map(np.array)
ticks = st.lists(st.floats(0.005, 0.02), min_size=1, max_size=30)
goals = st.tuples(st.just("go"), spots, st.floats(0.0, 0.4))
acts = st.one_of(goals, goals, st.tuples(st.just("brake"), st.none(), st.none()))
stories = st.lists(st.tuples(acts, ticks), min_size=1, max_size=8)


def walk(motion: Motion, count: int) -> np.ndarray:
    return np.array([motion.advance(DT) for _ in range(count)])


def play(motion: Motion, story: list) -> tuple[np.ndarray, np.ndarray]:
    """Sample a motion through orders to go and to brake; return times and setpoints."""
    at_s, path = [-0.01 * i for i in (3, 2, 1, 0)], [motion.position] * 4
    for (act, goal, within_s), lengths in story:
        motion.brake() if act == "brake" else motion.retarget(goal, within_s)
        for dt_s in lengths:
            at_s.append(at_s[-1] + dt_s)
            path.append(motion.advance(dt_s))
    rest = walk(motion, 600)
    assert np.array_equal(motion.position, motion.target) and np.all(motion.velocity == 0.0)
    return np.append(at_s, at_s[-1] + DT * np.arange(1, 601)), np.concatenate([path, rest])


@pytest.mark.fault("F13")
@given(stories)
def test_no_derivative_exceeds_its_bound_whatever_is_asked(story: list) -> None:
    motion = Motion(START, V, A, J)
    at_s, path = play(motion, story)
    assert_kept(at_s, path, (V, A, J))
    (act, goal, _), _ = story[-1]
    if act == "go":
        assert path[-1] == pytest.approx(goal, abs=1e-9)
    assert np.array_equal(path[-1], path[-2])


@pytest.mark.fault("F13")
@pytest.mark.parametrize("hz", [0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("wide", [0.05, 0.5, 3.0])
def test_sine_is_followed_within_bounds(hz: float, wide: float) -> None:
    motion, rng, now, story = Motion(START, V, A, J), np.random.default_rng(0), 0.0, []
    while now < 3.0:
        lengths = rng.uniform(0.005, 0.02, 15).tolist()
        now += sum(lengths)
        story.append((("go", wide * np.sin(2 * np.pi * hz * now + np.arange(3)), 0.2), lengths))
    at_s, path = play(motion, story)
    assert_kept(at_s, path, (V, A, J))


@given(st.tuples(*[st.floats(-1, 1)] * 3).map(np.array))
def test_target_is_reached_on_time_when_it_is_in_reach(part: np.ndarray) -> None:
    motion = Motion(START, V, A, J)
    goal = part * reachable_rad(V, A, J, 0.2)
    motion.retarget(goal, 0.2)
    path = walk(motion, 20)
    assert path[-1] == pytest.approx(goal, abs=1e-9)
    assert np.all(np.abs(path) <= np.abs(goal) + 1e-9)
    assert np.all(motion.velocity == 0.0)


def test_joints_are_late_together_and_the_gripper_alone_when_one_is_too_far() -> None:
    motion = Motion(START, V, A, J)
    reach = reachable_rad(V, A, J, 0.2)
    motion.retarget(np.array([0.5, 0.5, 3.0]) * reach, 0.2)
    assert walk(motion, 20)[-1][:2] == pytest.approx(0.5 * reach[:2], abs=1e-9)
    motion.restart(START)
    motion.retarget(np.array([0.5, 2.0, 0.5]) * reach, 0.2)
    assert np.all(np.abs(walk(motion, 21)[-1] - [0.5, 2.0, 0.5] * reach)[:2] > 1e-3)
    assert motion.position[2] == pytest.approx(0.5 * reach[2], abs=1e-9)


def test_arm_rests_where_braking_said_when_it_brakes() -> None:
    motion = Motion(START, V, A, J)
    motion.retarget(np.array([2.0, 1.0, 1.0]), 0.5)
    walk(motion, 12)
    assert motion.brake()
    stop = motion.target.copy()
    path = walk(motion, 40)
    assert path[-1] == pytest.approx(stop, abs=1e-9)
    assert np.all(np.diff(path, axis=0) >= -1e-12)
    assert not motion.brake()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_motion_brakes_when_the_target_is_no_number(bad: float) -> None:
    motion = Motion(START, V, A, J)
    motion.retarget(np.array([2.0, 1.0, 1.0]), 0.5)
    walk(motion, 5)
    assert not motion.retarget(np.array([0.0, bad, 0.0]), 0.2)
    assert np.all(np.isfinite(walk(motion, 100))) and np.all(motion.velocity == 0.0)


@pytest.mark.parametrize("bad", [math.nan, -1.0, 0.0])
def test_setpoint_stays_when_no_time_passes(bad: float) -> None:
    motion = Motion(START, V, A, J)
    motion.retarget(np.array([0.3, 0.1, 0.1]), 0.2)
    before = walk(motion, 5)[-1]
    assert motion.advance(bad) == pytest.approx(before, abs=1e-12)


def test_setpoint_does_not_leap_when_a_tick_is_very_long() -> None:
    motion = Motion(START, V, A, J)
    motion.retarget(np.array([2.0, 1.0, 1.0]), 0.2)
    assert np.all(motion.advance(math.inf) <= 0.1 * V)


def test_gripper_keeps_its_stop_when_it_is_told_the_same_again_on_the_way() -> None:
    motion = Motion(np.array([0.0, 0.5]), np.array([3.0, 4.0]), np.array([40.0, 80.0]), np.array([4000.0, 1600.0]))
    motion.retarget(np.zeros(2), 0.2)
    walk(motion, 20)
    motion.retarget(np.zeros(2), 0.2)
    assert np.min(walk(motion, 30)[:, 1]) >= -1e-10 and motion.position[1] == 0.0
