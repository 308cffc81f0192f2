from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_safety.following import SILENT_NS, Follower, in_order, path
from armtune_sim.gated import default_gate
from armtune_sim.world import TICK_NS

ROBOT = default_gate().robot
NAMES = (*ROBOT.joints, ROBOT.finger_joint)
HOME = np.array([*ROBOT.home_rad, 0.9])
LOW, HIGH = (*ROBOT.joint_lower_rad, 0.0), (*ROBOT.joint_upper_rad, 1.0)


def test_joints_are_sorted_when_they_come_in_another_order() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, ROBOT.gripper_open_m]
    np.testing.assert_allclose(in_order(ROBOT, NAMES[::-1], values[::-1]), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0])


@pytest.mark.parametrize(
    ("names", "positions"),
    [(NAMES, [0.0] * 6), (NAMES[:-1], [0.0] * 6), (("elbow",) * 7, [0.0] * 7), (NAMES, [0.0] * 6 + [np.nan])],
)
def test_setpoint_is_refused_when_it_is_incomplete_or_not_finite(names: tuple[str, ...], positions: list) -> None:
    with pytest.raises(ValueError, match="setpoint: expected"):
        in_order(ROBOT, names, positions)


def test_trajectory_is_refused_when_it_has_another_number_of_points() -> None:
    for points, count in (([], None), ([[0.0] * 7] * 3, 20)):
        with pytest.raises(ValueError, match="points"):
            path(ROBOT, NAMES, points, count)


def turned(joints: np.ndarray, waist_rad: float) -> np.ndarray:
    """The same joints (7,), the waist further by an angle."""
    return np.append(joints[0] + waist_rad, joints[1:])


def at_home() -> Follower:
    follower = Follower(ROBOT)
    follower.hold(HOME, 0)
    return follower


def test_arm_holds_where_it_is_when_setpoints_fall_silent() -> None:
    follower, wanted = at_home(), HOME + 0.02
    wanted[-1] = 0.95
    np.testing.assert_array_equal(follower.next(HOME, 0), HOME)
    follower.take(wanted, TICK_NS)
    np.testing.assert_array_equal(follower.next(HOME, TICK_NS + SILENT_NS), wanted)
    assert not follower.holds
    held = follower.next(HOME + 0.01, TICK_NS + SILENT_NS + 1)
    np.testing.assert_allclose(held, [*(HOME + 0.01)[:-1], 0.95])  # what the hand holds, it goes on holding
    np.testing.assert_array_equal(follower.next(HOME + 0.011, TICK_NS + 9 * SILENT_NS), held)
    assert follower.holds


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("sign", (-1, 1))
def test_setpoint_is_refused_when_it_is_outside_a_limit(joint: int, sign: int) -> None:
    follower = at_home()
    edge = np.array(HIGH if sign > 0 else LOW)[joint]
    inside, outside = HOME.copy(), HOME.copy()
    inside[joint], outside[joint] = edge, edge + sign * 0.06
    follower.hold(inside, 0)
    follower.take(inside, 10**10)
    with pytest.raises(ValueError, match="outside its limits"):
        follower.take(outside, 2 * 10**10)
    np.testing.assert_array_equal(follower.next(HOME, 10**10), inside)  # the one before stands
    assert follower.refused == 1


def test_last_setpoint_stands_and_then_silence_counts_when_the_rest_are_refused() -> None:
    follower, far = at_home(), turned(HOME, 2.0)
    follower.take(HOME, 0)
    for tick in range(1, 12):
        with pytest.raises(ValueError, match="waist faster than"):
            follower.take(far, tick * TICK_NS)
        np.testing.assert_array_equal(follower.next(HOME, tick * TICK_NS), HOME)
    assert follower.holds
    assert follower.refused == 11


def test_first_setpoint_must_be_near_the_arm_however_long_it_has_held() -> None:
    follower = at_home()
    with pytest.raises(ValueError, match="waist faster"):
        follower.take(turned(HOME, 0.5), 10**12)
    follower.take(turned(HOME, 0.05), 10**12)
    assert not follower.holds


@pytest.mark.parametrize(("hand", "is_leap"), [(0.0, False), (0.6, False), (0.64, False), (0.9, True)])
def test_hand_goes_on_from_where_it_was_told_to_be_or_from_where_it_is(hand: float, is_leap: bool) -> None:
    """A gate that starts anew goes on from what is measured: of a hand that holds something, further open than told."""
    follower, shut, holding = at_home(), np.append(HOME[:-1], 0.0), np.append(HOME[:-1], 0.6)
    follower.hold(shut, 0)
    np.testing.assert_array_equal(follower.hold_here(holding, 0), shut)
    if is_leap:
        with pytest.raises(ValueError, match="finger faster"):
            follower.take(np.append(HOME[:-1], hand), 0)
    else:
        follower.take(np.append(HOME[:-1], hand), 0)
        assert follower.refused == 0 and not follower.holds


def test_plan_goes_on_from_where_the_hand_is_or_was_told_and_no_leap_follows() -> None:
    shut, holding = np.append(HOME[:-1], 0.0), np.append(HOME[:-1], 0.6)
    for start in (0.0, 0.3, 0.6):
        follower = at_home()
        follower.hold(shut, 0)
        follower.hold_here(holding, 0)
        points = [np.append(HOME[:-1], start + 0.005 * i) for i in range(4)]
        np.testing.assert_array_equal(follower.take_all(points, TICK_NS, TICK_NS), points)
        again = at_home()
        again.hold(shut, 0)
        again.hold_here(holding, 0)
        with pytest.raises(ValueError, match="finger faster"):
            again.take_all([points[0], np.append(HOME[:-1], 0.6 if start < 0.3 else 0.0)], TICK_NS, TICK_NS)
        assert again.holds and again.refused == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 0.02), st.floats(-1.0, 1.0)), min_size=2, max_size=60))
def test_stream_within_the_limits_is_followed_whatever_its_jitter(beats: list[tuple[float, float]]) -> None:
    """A setpoint a tick at up to full speed, each up to 20 ms late; the newest overwrites what came late."""
    follower, at, heard_ns = at_home(), HOME.copy(), 0
    for tick, (late_s, speed) in enumerate(beats, 1):
        at = turned(at, speed * 0.0314)
        heard_ns = max(heard_ns, round(tick * TICK_NS + late_s * 1e9))
        if abs(at[0]) <= 3.14:
            follower.take(at, heard_ns)
    assert follower.refused == 0


@pytest.mark.fault("F45")
@settings(deadline=None)
@given(st.integers(1, 20), st.lists(st.floats(-0.3, 0.3), min_size=10, max_size=200))
def test_arm_is_never_asked_for_more_than_its_speed_when_setpoints_flood(apart_ms: int, steps: list[float]) -> None:
    follower, at, way = at_home(), HOME.copy(), 0.0
    for i, step in enumerate(steps, 1):
        to = turned(at, step)
        with contextlib.suppress(ValueError):
            follower.take(to, i * apart_ms * 1_000_000)
            at, way = to, way + abs(step)
    assert way <= np.pi * (1.2 * len(steps) * apart_ms / 1000 + 0.02) + 1e-9


def test_period_is_refused_whole_when_one_of_its_points_is_too_fast() -> None:
    follower = at_home()
    points = [turned(HOME, 0.01 * i) for i in range(20)]
    points[15] = turned(points[15], 0.5)
    with pytest.raises(ValueError, match="waist faster"):
        follower.take_all(points, TICK_NS, TICK_NS)
    np.testing.assert_array_equal(follower.hold_last(), HOME)
