"""The pilot: bounds, the dead-man, the clutch, the gripper, keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ActionSpec, ConfigError
from armtune_safety import rotations
from armtune_teleop.pilot import Pilot
from armtune_teleop.settings import TeleopParams
from armtune_teleop.table import Refused

pytestmark = pytest.mark.unhurried

SPEC = ActionSpec()
HIGH = np.array(SPEC.high)
MS = 1_000_000
AXES = ("x ax 1", "y ay 1", "yaw aw 1")
BUTTONS = ("engage e", "clutch c", "gripper g", "faster f", "slower s", "start n", "success y")
READINGS = st.lists(
    st.fixed_dictionaries(
        {name: st.floats(-3, 3) for name in ("ax", "ay", "aw")}
        | {name: st.sampled_from([0.0, 1.0]) for name in "ecgfsny"}
    ),
    min_size=1,
    max_size=40,
)
POSES = st.lists(st.tuples(*[st.floats(-0.02, 0.02)] * 6), min_size=1, max_size=30)


def pilot(kind: str = "joy", **more: Any) -> Pilot:
    told = {"axes": AXES if kind == "joy" else (), "buttons": BUTTONS, "deadband": 0.0, **more}
    return Pilot(TeleopParams(kind=kind, **told), SPEC)


def fly(one: Pilot, now_ms: int, opening: float = 1.0, **reading: float) -> tuple[str, ...]:
    return one.hear(reading, now_ms * MS, lambda: opening)


def engaged(kind: str = "joy", **more: Any) -> Pilot:
    one = pilot(kind, **more)
    fly(one, 0)
    fly(one, 10, e=1)
    assert one.engaged
    return one


@given(READINGS, st.integers(1, 7))
def test_proposal_never_exceeds_the_bounds_and_none_comes_without_the_dead_man(readings: Any, every: int) -> None:
    one = pilot()
    for place, reading in enumerate(readings):
        fly(one, 10 * place, **reading)
        if place % every:
            continue
        values = one.propose()
        if not reading["e"]:
            assert values is None, "the dead-man is released"
        if values is not None:
            assert values.shape == (7,) and np.all(np.abs(values[:6]) <= HIGH[:6] + 1e-12) and 0 <= values[6] <= 1


@given(POSES, st.integers(1, 5))
def test_followed_hand_never_exceeds_the_bounds(steps: Any, every: int) -> None:
    one = engaged("pose", scale_m=5.0, scale_rad=5.0, speeds=(1.0,))
    p, rotation = np.zeros(3), np.eye(3)
    for place, step in enumerate(steps):
        p, rotation = p + step[:3], rotations.exp(step[3:]) @ rotation
        one.feel(p, rotation, 0)
        if place % every == 0:
            values = one.propose()
            assert values is not None and np.all(np.abs(values[:6]) <= HIGH[:6] + 1e-12)


def test_dead_man_that_is_down_from_the_start_must_be_released_first() -> None:
    one = pilot()
    fly(one, 0, e=1, ax=1)
    assert not one.engaged and one.propose() is None
    fly(one, 10)
    fly(one, 20, e=1)
    assert one.engaged


def test_pilot_that_was_dropped_engages_only_after_a_release() -> None:
    one = engaged()
    one.drop()
    fly(one, 20, e=1)
    assert not one.engaged
    fly(one, 30)
    fly(one, 40, e=1)
    assert one.engaged


def test_proposal_is_the_integral_of_the_stick() -> None:
    """Half the period at full deflection is half a step: taps count as long as they were, releases at once."""
    one = engaged(speeds=(1.0,))
    one.propose()
    for now in range(20, 220, 10):
        fly(one, now, e=1, ax=float(now < 120))
    values = one.propose()
    assert values is not None and values[0] == pytest.approx(HIGH[0] / 2)
    fly(one, 230, e=1)
    assert one.propose() == pytest.approx([0.0] * 6 + [1.0])


def test_nothing_that_a_hand_did_while_the_clutch_was_down_moves_the_tool() -> None:
    """Bumpless: the hand goes back while the clutch is down, and on where it was."""
    one = engaged("pose", speeds=(1.0,))
    one.feel(np.zeros(3), np.eye(3), 0)
    one.feel(np.array([0.01, 0, 0]), np.eye(3), 0)
    moved = one.propose()
    fly(one, 20, e=1, c=1)
    for x in (-0.02, -0.05, -0.09):
        one.feel(np.array([x, 0, 0]), rotations.exp([0, 0, x]), 0)
    clutched = one.propose()
    fly(one, 30, e=1)
    one.feel(np.array([-0.09, 0, 0]), rotations.exp([0, 0, -0.09]), 0)
    after = one.propose()
    one.feel(np.array([-0.08, 0, 0]), rotations.exp([0, 0, -0.09]), 0)
    on = one.propose()
    assert moved is not None and clutched is not None and after is not None and on is not None
    assert moved[:3] == pytest.approx([0.01, 0, 0]) and on[:3] == pytest.approx([0.01, 0, 0])
    assert clutched[:6] == pytest.approx(np.zeros(6)) and after[:6] == pytest.approx(np.zeros(6))


def test_hand_that_moved_while_released_does_not_move_the_tool_on_engaging() -> None:
    one = engaged("pose")
    one.feel(np.zeros(3), np.eye(3), 0)
    fly(one, 20)
    one.feel(np.array([0.05, 0, 0]), np.eye(3), 0)
    fly(one, 30, e=1)
    one.feel(np.array([0.09, 0, 0]), np.eye(3), 0)
    assert one.propose() == pytest.approx([0.0] * 6 + [1.0])


def test_hand_that_leaps_is_refused_and_lets_go() -> None:
    one = engaged("pose")
    one.feel(np.zeros(3), np.eye(3), 0)
    with pytest.raises(Refused, match="leapt by"):
        one.feel(np.array([0.5, 0, 0]), np.eye(3), 0)
    assert not one.engaged and one.propose() is None


@pytest.mark.parametrize("bad", (math.nan, math.inf))
def test_number_that_is_not_finite_lets_go(bad: float) -> None:
    one = engaged()
    with pytest.raises(Refused):
        fly(one, 20, e=1, ax=bad)
    assert not one.engaged and one.propose() is None


def test_silence_lets_go() -> None:
    one = engaged(silence_s=0.3)
    assert not one.silent(300 * MS) and "nothing heard from the device for 0.3 s" in one.silent(320 * MS)
    assert not one.engaged and one.silent(400 * MS), "and it stays so"
    fly(one, 500)
    assert not one.silent(500 * MS)


def test_toggled_engagement_ends_by_itself_without_input() -> None:
    one = pilot(engage="toggle", idle_s=1.0)
    fly(one, 0)
    fly(one, 10, e=1)
    fly(one, 20)
    assert one.engaged, "it stays on when the key is released"
    fly(one, 900, ax=0.5)
    fly(one, 1800)
    assert one.engaged
    fly(one, 2000)
    assert not one.engaged


def test_toggled_engagement_ends_at_the_second_press() -> None:
    one = pilot(engage="toggle")
    for now, down in ((0, 0), (10, 1), (20, 0), (30, 1), (40, 0)):
        fly(one, now, e=float(down))
    assert not one.engaged


@given(st.floats(0, 1))
def test_gripper_begins_where_it_is_told_to_be_and_toggles_from_there(opening: float) -> None:
    one = pilot()
    fly(one, 0)
    fly(one, 10, opening, e=1)
    assert one.opening == opening
    fly(one, 20, e=1, g=1)
    fly(one, 30, e=1, g=1)
    assert one.opening == (0.0 if opening > 0.5 else 1.0), "held down it toggles once"


def test_absolute_gripper_is_followed_only_from_where_it_meets_the_gripper() -> None:
    one = pilot(axes=("gripper lever 1",))
    fly(one, 0, lever=1.0)
    fly(one, 10, 0.2, lever=1.0, e=1)
    fly(one, 20, lever=0.6, e=1)
    assert one.opening == 0.2
    fly(one, 30, lever=0.25, e=1)
    fly(one, 40, lever=0.9, e=1)
    assert one.opening == 0.9


def test_speed_goes_through_its_steps_and_scales_the_motion() -> None:
    one = engaged(speeds=(0.5, 0.25, 1.0))
    assert one.speed == 0.5
    for now, key in ((20, "s"), (40, "s"), (60, "f"), (80, "f"), (100, "f")):
        fly(one, now, e=1, **{key: 1})
        fly(one, now + 10, e=1)
    assert one.speed == 1.0
    one.propose()
    fly(one, 200, e=1, ax=1)
    values = one.propose()
    assert values is not None and values[0] == pytest.approx(HIGH[0])


def test_episode_keys_come_once_a_press_engaged_or_not() -> None:
    one = pilot()
    assert fly(one, 0, n=1) == ("start",)
    assert fly(one, 10, n=1) == ()
    assert fly(one, 20, n=0, y=1) == ("success",)


def test_device_without_a_dead_man_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a row for engage, the dead-man"):
        TeleopParams(kind="joy", axes=AXES, buttons=("gripper g",))
