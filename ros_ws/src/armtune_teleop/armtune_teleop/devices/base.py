"""What a device is, and the one that others put readings into: topics, a page. Pure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from armtune_policies.contract import Clock
from armtune_teleop.table import Reading


class Gone(OSError):
    """The device cannot be read: not there, unplugged, or its library is missing; the text says what to do."""


class Device(Protocol):
    """Something that can be read at any time."""

    def poll(self) -> Reading | None:
        """Return what it reads now, None where nothing new was heard; raise ``Gone`` when it is gone."""

    def close(self) -> None: ...


class Direct(Device, Protocol):
    """One that is read directly: it tells changes only, so that silence alone means nothing."""

    @property
    def heard(self) -> float:
        """Another number once anything was heard of it."""


class Watched:
    """Gives up a device of which nothing is heard while it moves the arm: its radio may be dead.

    Args:
        device: Read directly.
        moves: Whether a reading moves the arm.
        longest_s: How long it may do so without any change.
        clock: Steady.
    """

    def __init__(self, device: Direct, moves: Callable[[Reading], bool], longest_s: float, clock: Clock) -> None:
        self._device, self._moves, self._longest_s, self._clock = device, moves, longest_s, clock
        self._heard, self._heard_ns = device.heard, clock.now_ns()

    def poll(self) -> Reading | None:
        reading, now_ns = self._device.poll(), self._clock.now_ns()
        if reading is None or self._device.heard != self._heard or not self._moves(reading):
            self._heard, self._heard_ns = self._device.heard, now_ns
        return reading if (now_ns - self._heard_ns) / 1e9 <= self._longest_s else None

    def close(self) -> None:
        self._device.close()


class Inbox:
    """Holds the newest reading that came from elsewhere, until it is polled once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, float] | None = None
        self._gone = ""

    def put(self, reading: Reading) -> None:
        """Take a reading. A button that was down in one not polled yet stays down: no press is lost."""
        with self._lock:
            waiting = self._newest or {}
            self._newest = {name: max(value, waiting.get(name, value)) if _is_press(waiting.get(name)) else value
                            for name, value in reading.items()}  # fmt: skip

    def lose(self, why: str) -> None:
        """Whoever put readings is gone: the next poll raises ``Gone``, once."""
        with self._lock:
            self._newest, self._gone = None, why

    def poll(self) -> Reading | None:
        with self._lock:
            newest, self._newest = self._newest, None
            gone, self._gone = self._gone, ""
        if gone:
            raise Gone(gone)
        return newest

    def close(self) -> None:
        """Nothing to let go of."""


def _is_press(value: float | None) -> bool:
    return value == 1.0
