"""Devices read directly, with libraries of our own in place of the drivers': what they hear, lose and give up."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from armtune_bringup.compose import compose
from armtune_policies.contract import ManualClock
from armtune_teleop.devices import Gone, Inbox, open_device

Info = namedtuple("Info", "value min max fuzz flat resolution")
Event = namedtuple("Event", "type code value")
SYN, KEY, ABS, SYN_DROPPED, TL, X, Y = 0, 1, 3, 3, 310, 0, 1


class Pad:
    """What ``evdev.InputDevice`` has, of a stick and one button."""

    path, name = "/dev/input/event0", "pad"

    def __init__(self, *_: object) -> None:
        self.queue: list[Event] = []
        self.keys: set[int] = set()
        self.at = {X: 0, Y: 0}
        self.is_there = True

    def capabilities(self) -> dict[int, list[Any]]:
        return {ABS: [(code, self.absinfo(code)) for code in self.at], KEY: [304, TL]}

    def absinfo(self, code: int) -> Info:
        return Info(self.at[code], -100, 100, 0, 0, 0)

    def active_keys(self) -> list[int]:
        return list(self.keys)

    def tell(self, kind: int, code: int, value: int) -> None:
        """Move something; the event may be read."""
        if kind == ABS:
            self.at[code] = value
        elif kind == KEY:
            (self.keys.add if value else self.keys.discard)(code)
        self.queue.append(Event(kind, code, value))

    def read(self) -> Iterator[Event]:
        if not self.is_there:
            raise OSError(19, "No such device")
        if not self.queue:
            raise BlockingIOError
        told, self.queue = self.queue, []
        return iter(told)

    def close(self) -> None:
        pass


@pytest.fixture
def pad(monkeypatch: pytest.MonkeyPatch) -> Pad:
    library, one = ModuleType("evdev"), Pad()
    names: dict[str, Any] = {"EV_SYN": SYN, "EV_KEY": KEY, "EV_ABS": ABS, "SYN_DROPPED": SYN_DROPPED}
    names |= {"ABS": {X: "ABS_X", Y: "ABS_Y"}, "BTN": {304: ("BTN_A", "BTN_SOUTH"), TL: "BTN_TL"}, "KEY": {}}
    names |= {"ABS_X": X, "BTN_SOUTH": 304}
    library.ecodes = SimpleNamespace(**names)  # type: ignore[attr-defined]
    library.InputDevice, library.list_devices = lambda _: one, lambda: [one.path]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "evdev", library)
    return one


class Mouse:
    """What ``pyspacemouse.open`` returns: the newest report, again and again."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(t=-1.0, x=0.0, y=0.0, z=0.0, roll=0.0, pitch=0.0, yaw=0.0, buttons=[0, 0])
        self.is_there = True

    def tell(self, t: float, **values: Any) -> None:
        self.state = SimpleNamespace(**{**vars(self.state), "t": t, **values})

    def read(self) -> SimpleNamespace:
        if not self.is_there:
            raise Exception("read failed")
        return self.state

    def close(self) -> None:
        pass


@pytest.fixture
def mouse(monkeypatch: pytest.MonkeyPatch) -> Mouse:
    library, one = ModuleType("pyspacemouse"), Mouse()
    library.AxisConvention = SimpleNamespace(ROS="ros")  # type: ignore[attr-defined]
    library.open = lambda axis_convention: one  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspacemouse", library)
    return one


def opened(device: str) -> tuple[Any, ManualClock]:
    clock = ManualClock(0)
    return open_device(compose([f"teleop={device}"]).teleop, Inbox(), clock), clock


def test_gamepad_reads_axes_and_buttons_by_the_kernels_names_and_keeps_a_short_press(pad: Pad) -> None:
    device, _ = opened("gamepad")
    pad.tell(ABS, Y, -50)
    pad.tell(KEY, TL, 1)
    pad.tell(KEY, TL, 0)
    assert device.poll() == {"ABS_X": 0.0, "ABS_Y": -0.5, "BTN_A": 0.0, "BTN_SOUTH": 0.0, "BTN_TL": 1.0}
    assert device.poll()["BTN_TL"] == 0.0


def test_release_that_the_kernel_dropped_is_not_lost(pad: Pad) -> None:
    device, _ = opened("gamepad")
    pad.tell(KEY, TL, 1)
    pad.tell(ABS, Y, 100)
    assert (device.poll()["BTN_TL"], device.poll()["ABS_Y"]) == (1.0, 1.0)
    pad.keys, pad.at[Y] = set(), 0
    pad.queue = [Event(SYN, SYN_DROPPED, 0)]
    device.poll()
    assert (device.poll()["BTN_TL"], device.poll()["ABS_Y"]) == (0.0, 0.0)


def test_gamepad_whose_radio_died_with_a_stick_deflected_falls_silent_and_one_at_rest_does_not(pad: Pad) -> None:
    device, clock = opened("gamepad")
    pad.tell(KEY, TL, 1)
    for _ in range(10):
        clock.advance(1.0)
        assert device.poll()["BTN_TL"] == 1.0, "the dead-man alone moves nothing"
    pad.tell(ABS, Y, 100)
    assert device.poll() is not None
    clock.advance(1.9)
    assert device.poll() is not None
    clock.advance(0.2)
    assert device.poll() is None
    pad.tell(ABS, Y, 99)
    assert device.poll() is not None, "heard again"


def test_gamepad_that_is_unplugged_is_gone(pad: Pad) -> None:
    device, _ = opened("gamepad")
    pad.is_there = False
    with pytest.raises(Gone, match="unplugged; plug it in again"):
        device.poll()


def test_space_mouse_reads_six_axes_and_buttons_and_falls_silent_when_its_radio_dies(mouse: Mouse) -> None:
    device, clock = opened("spacemouse")
    assert set(device.poll().values()) == {0.0}
    clock.advance(5.0)
    mouse.tell(1.0, x=0.5, yaw=-1.0, buttons=[1, 0])
    assert device.poll() == {
        "x": 0.5, "y": 0.0, "z": 0.0, "roll": 0.0, "pitch": 0.0, "yaw": -1.0, "button0": 1.0, "button1": 0.0,
    }  # fmt: skip
    clock.advance(0.31)
    assert device.poll() is None
    mouse.is_there = False
    with pytest.raises(Gone, match="read failed; plug it in again"):
        device.poll()


def test_library_that_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for device, module in (("gamepad", "evdev"), ("spacemouse", "pyspacemouse")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(Gone, match=rf"pip install {module}"):
            opened(device)
