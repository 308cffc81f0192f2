"""A gamepad read from Linux's input layer by ``evdev``: its events, its names, no display."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from armtune_teleop.table import Reading

from .base import Gone

_TRIGGERS = ("ABS_Z", "ABS_RZ", "ABS_GAS", "ABS_BRAKE")
"""Axes that rest at one end: 0..1. The others rest in the middle: -1..1."""


def open_gamepad(path: str = "") -> Gamepad:
    """Open a device file, or the first device that has a stick and a face button.

    Raises:
        Gone: when there is none, or ``evdev`` is not installed.
    """
    evdev = _library()
    try:
        return Gamepad(evdev.InputDevice(path or _first(evdev)))
    except Gone:
        raise
    except PermissionError:
        raise Gone(
            f"{path or '/dev/input'}: not yours to read; add yourself to the group input and log in anew"
        ) from None
    except OSError as why:
        raise Gone(f"{path}: {why.strerror}; is the gamepad plugged in?") from None


class Gamepad:
    """An open gamepad. Axes read -1..1 (triggers 0..1), buttons 0 or 1, by the kernel's names: ABS_X, BTN_SOUTH.

    Args:
        device: An ``evdev.InputDevice``.
    """

    def __init__(self, device: Any) -> None:
        self._device, self._codes = device, _library().ecodes
        self._ranges: dict[int, Any] = dict(device.capabilities().get(self._codes.EV_ABS, []))
        self._buttons = list(device.capabilities().get(self._codes.EV_KEY, []))
        self._values: dict[str, float] = {}
        self.heard = 0
        self._look()

    def _look(self) -> None:
        """Ask the kernel where everything is now."""
        for code in self._ranges:
            self._note(self._codes.EV_ABS, code, self._device.absinfo(code).value)
        held = set(self._device.active_keys())
        for code in self._buttons:
            self._note(self._codes.EV_KEY, code, code in held)

    @property
    def name(self) -> str:
        return str(self._device.name)

    def poll(self) -> Reading:
        """Return every axis and button. A press too short for two polls is still seen once."""
        pressed: set[str] = set()
        try:
            with suppress(BlockingIOError):
                for event in self._device.read():
                    self.heard += 1
                    names = self._note(event.type, event.code, event.value)
                    pressed |= set(names) if event.type == self._codes.EV_KEY and event.value else set()
                    if (event.type, event.code) == (self._codes.EV_SYN, self._codes.SYN_DROPPED):
                        self._look()  # events were lost, perhaps a release
        except OSError as why:
            text = "unplugged" if why.errno == errno.ENODEV else why.strerror
            raise Gone(f"gamepad {self._device.path}: {text}; plug it in again") from None
        return {**self._values, **dict.fromkeys(pressed, 1.0)}

    def close(self) -> None:
        self._device.close()

    def _note(self, kind: int, code: int, value: float) -> Iterable[str]:
        if kind == self._codes.EV_ABS and code in self._ranges:
            names = _names(self._codes.ABS[code])
            info = self._ranges[code]
            part = (value - info.min) / max(info.max - info.min, 1)
            value = part if set(names) & set(_TRIGGERS) else 2.0 * part - 1.0
        elif kind == self._codes.EV_KEY:
            names, value = (
                _names(self._codes.BTN.get(code, self._codes.KEY.get(code, f"KEY_{code}"))),
                float(bool(value)),
            )
        else:
            return ()
        self._values.update(dict.fromkeys(names, float(value)))
        return names


def _library() -> Any:
    try:
        import evdev
    except ImportError:
        raise Gone("gamepads are read by evdev, which is not installed: pip install evdev") from None
    return evdev


def _is_gamepad(evdev: Any, path: str) -> bool:
    found, codes = evdev.InputDevice(path).capabilities(), evdev.ecodes
    has_stick = codes.ABS_X in dict(found.get(codes.EV_ABS, []))
    return has_stick and codes.BTN_SOUTH in found.get(codes.EV_KEY, [])


def _first(evdev: Any) -> str:
    paths = [path for path in sorted(evdev.list_devices()) if _is_gamepad(evdev, path)]
    if not paths:
        raise Gone("no gamepad found in /dev/input; plug one in, or name it: teleop.path=/dev/input/event5")
    return paths[0]


def _names(name: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The kernel has several names for some codes: BTN_SOUTH, BTN_A, BTN_GAMEPAD."""
    return (name,) if isinstance(name, str) else tuple(name)
