"""What `armtune teleop --list` says of a device that this machine reads itself."""

from __future__ import annotations

import math

import pytest

from armtune_bringup.compose import compose
from armtune_teleop.devices import OPENERS, Gone
from armtune_teleop.listing import Found, look
from armtune_teleop.settings import TeleopParams
from armtune_teleop.table import Reading

PARAMS = compose(["teleop=gamepad"]).teleop


class Pad:
    """A gamepad that reads one thing."""

    heard = 0.0

    def __init__(self, reading: Reading) -> None:
        self.reading, self.is_closed = reading, False

    def poll(self) -> Reading:
        if not self.reading:
            raise Gone("gamepad /dev/input/event5: unplugged; plug it in again")
        return self.reading

    def close(self) -> None:
        self.is_closed = True


def listed(monkeypatch: pytest.MonkeyPatch, reading: Reading) -> Found:
    pad = Pad(reading)
    monkeypatch.setitem(OPENERS, "evdev", lambda params: pad)
    found = look("gamepad", PARAMS)
    assert pad.is_closed, "the graph may want it"
    return found


def test_device_that_is_plugged_in_shows_its_live_axes_as_the_table_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listed(monkeypatch, {"ABS_Y": -1.0, "ABS_RX": 0.02, "BTN_TL": 1.0, "BTN_SOUTH": 1.0})
    axes = "x +1.00 y +0.00 z +0.00 roll +0.00 pitch +0.00 yaw +0.00 [clutch engage]"
    assert (found.state, found.axes.replace("-0.00", "+0.00")) == ("plugged in", axes)


def test_device_that_cannot_be_read_is_listed_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not readable: gamepad /dev/input/event5: unplugged; plug it in" in listed(monkeypatch, {}).state
    assert "not readable: input 'ABS_X' reads nan" in listed(monkeypatch, {"ABS_X": math.nan}).state

    def missing(params: TeleopParams) -> Pad:
        raise Gone("no gamepad found in /dev/input; plug one in")

    monkeypatch.setitem(OPENERS, "evdev", missing)
    assert look("gamepad", PARAMS).state == "not there: no gamepad found in /dev/input; plug one in"
