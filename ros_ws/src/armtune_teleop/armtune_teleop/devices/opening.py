"""Which kinds of device this machine can read by itself, and what is missing otherwise."""

from __future__ import annotations

from collections.abc import Callable

from armtune_policies.contract import Clock
from armtune_teleop.settings import TeleopParams

from . import gamepad, spacemouse
from .base import Device, Direct, Inbox, Watched

OPENERS: dict[str, Callable[[TeleopParams], Direct]] = {
    "evdev": lambda params: gamepad.open_gamepad(params.path),
    "spacemouse": lambda params: spacemouse.SpaceMouse(),
}
"""Kinds read directly; the others are heard: on a topic, or through the page."""


def open_device(params: TeleopParams, inbox: Inbox, clock: Clock) -> Device:
    """Return the device of a config; of one that is heard, its ``inbox``.

    Raises:
        Gone: saying what to plug in or to install.
    """
    opener, table = OPENERS.get(params.kind), params.table
    if opener is None:
        return inbox
    return Watched(opener(params), lambda reading: bool(table.read(reading).motion.any()), params.still_s, clock)
