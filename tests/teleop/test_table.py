"""Rows of text to wishes: what each input means, and what is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_bringup.compose import compose, options
from armtune_policies.contract import ConfigError
from armtune_policies.contract.topics import KEYS
from armtune_teleop.table import MOTIONS, Refused, Table

pytestmark = pytest.mark.unhurried

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
TABLE = Table.parse(["x left -1", "x more 1", "z up 0.5", "gripper squeeze 1"], ["engage a", "success b"], 0.1)


@given(st.dictionaries(st.sampled_from(["left", "more", "up", "squeeze", "a", "b", "other"]), NUMBERS))
def test_wish_is_within_its_bounds_whatever_the_device_reads(reading: dict[str, float]) -> None:
    wish = TABLE.read(reading)
    assert wish.motion.shape == (6,) and np.all(np.abs(wish.motion) <= 1.0)
    assert wish.opening is not None and 0.0 <= wish.opening <= 1.0
    assert wish.actions <= {"engage", "success"}


@given(st.floats(-1, 1), st.floats(0, 0.5))
def test_axis_rests_within_its_deadband_and_grows_from_nothing_beyond(value: float, deadband: float) -> None:
    moved = Table.parse(["y stick 1"], ["engage a"], deadband).read({"stick": value}).motion[1]
    assert moved == pytest.approx(math.copysign(max(abs(value) - deadband, 0.0) / (1.0 - deadband), value))


@pytest.mark.parametrize("bad", (math.nan, math.inf, -math.inf))
def test_reading_is_refused_whole_when_any_number_of_it_is_not_finite(bad: float) -> None:
    with pytest.raises(Refused, match="expected a finite number"):
        TABLE.read({"a": 1.0, "unmapped": bad})


def test_rows_of_one_target_add_up_and_signs_are_the_gains() -> None:
    wish = TABLE.read({"left": -1.0, "up": 1.0, "a": 1.0})
    assert dict(zip(MOTIONS, wish.motion.tolist())) == {"x": 1.0, "y": 0, "z": 0.5, "roll": 0, "pitch": 0, "yaw": 0}
    assert wish.actions == {"engage"}


@pytest.mark.parametrize("row", ("x left", "up left 1", "x left fast", "x left nan", "x left 11"))
def test_axis_row_that_is_none_is_refused_with_an_example(row: str) -> None:
    with pytest.raises(ConfigError, match="axes: expected"):
        Table.parse([row], [])


def test_button_row_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="buttons: expected rows 'action input'"):
        Table.parse([], ["fly a"])


CODES = {
    "BTN_SOUTH": 0x130, "BTN_EAST": 0x131, "BTN_NORTH": 0x133, "BTN_WEST": 0x134, "BTN_TL": 0x136, "BTN_TR": 0x137,
    "BTN_SELECT": 0x13A, "BTN_START": 0x13B, "BTN_MODE": 0x13C, "BTN_THUMBL": 0x13D, "BTN_THUMBR": 0x13E,
}  # fmt: skip
"""Of linux/input-event-codes.h: the buttons of a gamepad with two sticks, whose triggers are axes."""


def test_gamepad_means_the_same_read_by_the_kernels_names_or_heard_by_numbers() -> None:
    by_name, by_number = (dict(compose([f"teleop={name}"]).teleop.table.buttons) for name in ("gamepad", "joy"))
    in_order = sorted(CODES, key=CODES.__getitem__)
    assert {action: in_order[int(button.removeprefix("button"))] for action, button in by_number.items()} == by_name


ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\| (`[^|]*) \| ([^|]*) \|", re.MULTILINE)


def test_page_names_every_device_and_the_keys_that_the_keyboard_and_the_browser_have() -> None:
    rows = dict(ROWS.findall((ROOT / "docs/collect.md").read_text()))
    devices = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - set(KEYS) - {"teleop"}
    assert devices == set(options("teleop")) - {"none"}
    told = {key: rows[f"`{key}`"].strip().lower() for key in KEYS}
    assert told == {a: key for a, key in compose(["teleop=keyboard"]).teleop.table.buttons if a in KEYS}
    page = (ROOT / "ros_ws/src/armtune_teleop/armtune_teleop/web/hand.js").read_text()
    assert all(re.search(rf'\b{key}: "{action}"', page) for action, key in told.items())
