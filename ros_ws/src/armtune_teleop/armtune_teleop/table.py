"""What each input of a device means: rows of text in a config, readings in, wishes out. Pure.

A reading is a mapping of names to numbers: axes -1..1, buttons 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import ConfigError
from armtune_policies.contract.topics import KEYS

MOTIONS = ("x", "y", "z", "roll", "pitch", "yaw")
GRIPPER = "gripper"
ACTIONS = ("engage", "clutch", GRIPPER, "faster", "slower", *KEYS)
PRESSED = 0.5

Reading = Mapping[str, float]


class Refused(ValueError):
    """A reading that will not do; the text says why."""


@dataclass(frozen=True)
class Wish:
    """What one reading says.

    ``motion`` is shape (6,), parts -1..1 of full speed along x y z and about them, in ``base_link``; ``opening`` is
    an absolute gripper opening 0..1 where an axis gives one; ``actions`` are the buttons that are down.
    """

    motion: NDArray[np.float64]
    actions: frozenset[str]
    opening: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows ``(target, input, gain)`` and ``(action, input)``; several rows of one target add up."""

    axes: tuple[tuple[str, str, float], ...]
    buttons: tuple[tuple[str, str], ...]
    deadband: float = 0.0

    @classmethod
    def parse(cls, axes: Sequence[str], buttons: Sequence[str], deadband: float = 0.0) -> Table:
        """Read rows as a config writes them: ``x left_y -1.0`` and ``engage button4``.

        Raises:
            ConfigError: for a row that is none.
        """
        return cls(tuple(map(_axis, axes)), tuple(map(_button, buttons)), deadband)

    def has(self, action: str) -> bool:
        return any(name == action for name, _ in self.buttons)

    def read(self, reading: Reading) -> Wish:
        """Return what a reading wishes; an input that it does not name rests.

        Raises:
            Refused: when any number of it is not finite: no part of such a reading is believed.
        """
        for name, value in reading.items():
            if not math.isfinite(value):
                raise Refused(f"input {name!r} reads {value}; expected a finite number")
        sums = dict.fromkeys((*MOTIONS, GRIPPER), 0.0)
        for target, name, gain in self.axes:
            sums[target] += gain * self._deflection(target, reading.get(name, 0.0))
        motion = np.clip([sums[name] for name in MOTIONS], -1.0, 1.0)
        has_opening = any(target == GRIPPER for target, _, _ in self.axes)
        opening = float(np.clip(sums[GRIPPER], 0.0, 1.0)) if has_opening else None
        down = frozenset(action for action, name in self.buttons if reading.get(name, 0.0) > PRESSED)
        return Wish(motion, down, opening)

    def _deflection(self, target: str, value: float) -> float:
        """An axis without its deadband: 0 within, then growing from 0 to 1."""
        value = min(max(value, -1.0), 1.0)
        if target == GRIPPER:
            return value
        beyond = max(abs(value) - self.deadband, 0.0) / (1.0 - self.deadband)
        return math.copysign(beyond, value)


def _axis(row: str) -> tuple[str, str, float]:
    words = row.split()
    if len(words) != 3 or words[0] not in (*MOTIONS, GRIPPER):
        raise ConfigError(f"axes: expected rows 'target input gain', target of {', '.join(MOTIONS)}; got {row!r}")
    try:
        gain = float(words[2])
    except ValueError:
        gain = math.nan
    if not abs(gain) <= 10.0:
        raise ConfigError(f"axes: expected a gain in [-10, 10], got {row!r}")
    return words[0], words[1], gain


def _button(row: str) -> tuple[str, str]:
    words = row.split()
    if len(words) != 2 or words[0] not in ACTIONS:
        raise ConfigError(f"buttons: expected rows 'action input', action of {', '.join(ACTIONS)}; got {row!r}")
    return words[0], words[1]
