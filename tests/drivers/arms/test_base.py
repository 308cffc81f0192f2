"""What silence is borne, and the gripper's geometry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_drivers.arms.base import ArmFault, Backoff, Freshness, Losses
from armtune_drivers.arms.gripper import Slider

pytestmark = pytest.mark.unhurried

WIDOWX = Slider(horn_m=0.014, link_m=0.024)


@given(st.lists(st.sets(st.integers(1, 3)), max_size=300))
def test_silence_is_a_fault_exactly_when_one_is_silent_too_long_or_too_many_too_often(rounds: list[set[int]]) -> None:
    losses, silent, shares = Losses({1: "a", 2: "b", 3: "c"}, in_a_row=3, share=0.2, window=20), [0, 0, 0], []
    for answered in rounds:
        silent = [0 if n in answered else s + 1 for n, s in zip((1, 2, 3), silent)]
        shares.append((3 - len(answered)) / 3)
        too_often = len(shares) >= 20 and sum(shares[-20:]) / 20 > 0.2 + 1e-9
        if max(silent) > 3 or too_often:
            with pytest.raises(ArmFault):
                losses.note(answered)
            return
        losses.note(answered)
    assert losses.lost == round(3 * sum(shares))


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 0.3)), max_size=60))
def test_answer_is_new_by_its_number_and_only_old_ones_for_too_long_are_a_fault(said: list[tuple[int, float]]) -> None:
    freshness, last, heard_s, now_s = Freshness("here: the robot", 0.5), -1, 7.0, 7.0
    freshness.start(now_s)
    for number, later_s in said:
        now_s += later_s
        if number == last and now_s - heard_s > 0.5:
            with pytest.raises(ArmFault, match=r"here: the robot has not answered for 0\.50 s"):
                freshness.is_new(number, now_s)
            freshness.start(now_s)  # held again: silence before that does not count
            heard_s = now_s
            continue
        assert freshness.is_new(number, now_s) == (number != last)
        heard_s, last = (now_s if number != last else heard_s), number


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 200.0)), max_size=30))
def test_arm_lost_soon_after_it_was_held_is_left_alone_for_longer_each_time(helds_s: list[float | None]) -> None:
    backoff, in_a_row = Backoff(), 0
    for held_s in helds_s:
        if held_s is not None:
            in_a_row = in_a_row + 1 if held_s < 60.0 else 1
        expected_s = 1.0 if held_s is None else min(2.0 ** (in_a_row - 1), 60.0)
        assert backoff.wait_s(held_s) == expected_s


@given(st.floats(0.015, 0.037))
def test_finger_is_where_its_angle_puts_it(finger_m: float) -> None:
    angle_rad = WIDOWX.angle_rad(finger_m)
    assert WIDOWX.finger_m(angle_rad) == pytest.approx(finger_m, abs=1e-9)
    step = 1e-6
    slope = (WIDOWX.finger_m(angle_rad + step) - WIDOWX.finger_m(angle_rad - step)) / (2 * step)
    assert WIDOWX.gain_m(angle_rad) == pytest.approx(slope, rel=1e-4)


def test_finger_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="out of reach"):
        WIDOWX.angle_rad(0.05)


def test_jaw_on_the_shaft_counts_by_the_way_of_its_tip() -> None:
    jaw = Slider(0.0, 0.1)
    assert (jaw.finger_m(0.5), jaw.angle_rad(0.05), jaw.fastest_m(0.0, 1.0)) == (0.05, 0.5, 0.1)
