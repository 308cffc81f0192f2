"""What an adapter of an arm is, what it says, and how much silence on its bus is borne. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from armtune_safety.controller import Controller

Array = NDArray[np.float64]

SETTLE_NS = 50_000_000
"""A sender that goes on needs so long to learn that the arm was lost, and where it is now."""


class ArmFault(Exception):
    """The arm cannot go on; the text is one sentence that names the joint and how to mend it."""


@dataclass(frozen=True)
class Reading:
    """One look at the whole arm: joints in the robot's order, the gripper last.

    Attributes:
        position: Joints [rad] and opening [1], shape (dof + 1,).
        facts: What diagnostics say: temperatures, currents, lost packets.
        warning: One sentence, blank when all is well.
    """

    position: Array
    facts: dict[str, str] = field(default_factory=dict)
    warning: str = ""


class Adapter(Protocol):
    """One arm on its bus. Every call is bounded in time; each may raise ``ArmFault``."""

    def open(self) -> None:
        """Find every servo, check what may not differ, set and read back limits. Nothing moves, no torque is taken."""

    def engage(self) -> Array:
        """Hold the arm where it is, its watchdog running; return where it is told to be, shape (dof + 1,)."""

    def enforces(self, boot_id: int) -> Controller:
        """Return what was read back of limits and watchdog."""

    def write(self, setpoint: Array) -> None:
        """Send joints [rad] and opening [1], shape (dof + 1,)."""

    def read(self) -> Reading | None:
        """Return where the arm is, or None when part of it did not answer this time."""

    def close(self) -> None:
        """Let go of the port, not of the arm."""


class Losses:
    """Counts what did not answer; some of it is noise, more of it is a fault.

    Args:
        names: Of those asked, by id.
        in_a_row: So many silent times of one are borne.
        share: So much of the last ``window`` questions may stay unanswered.
    """

    def __init__(self, names: dict[int, str], in_a_row: int, share: float, window: int = 100) -> None:
        self._names, self._in_a_row, self._share = names, in_a_row, share
        self._silent = dict.fromkeys(names, 0)
        self._last: deque[float] = deque(maxlen=window)
        self.lost = self.asked = 0

    def note(self, answered: Collection[int]) -> None:
        """Note one round.

        Raises:
            ArmFault: when one was silent for too long, or too many too often.
        """
        missing = [number for number in self._names if number not in answered]
        for number in self._names:
            self._silent[number] = self._silent[number] + 1 if number in missing else 0
        self.asked += len(self._names)
        self.lost += len(missing)
        self._last.append(len(missing) / len(self._names))
        if missing and max(self._silent.values()) > self._in_a_row:
            raise ArmFault(f"{self._named(missing)} did not answer {self._in_a_row + 1} times in a row; {_CABLES}")
        if len(self._last) == self._last.maxlen and not self.recent <= self._share:
            raise ArmFault(f"{self.recent:.0%} of the last answers were lost; {_CABLES}")

    @property
    def recent(self) -> float:
        """Share lost of the last answers."""
        return sum(self._last) / len(self._last) if self._last else 0.0

    def _named(self, numbers: Sequence[int]) -> str:
        return ", ".join(f"{self._names[number]} (id {number})" for number in numbers)


class Freshness:
    """Tells a controller's new answers from those given before, and how long there were only such.

    Makers' drivers go on giving the last state they got when the controller falls silent; its number then stays.

    Args:
        controller: Begins a fault's sentence: where it is, and what it is.
        silent_s: Without a new answer for longer than this, it is lost.
    """

    def __init__(self, controller: str, silent_s: float) -> None:
        self._controller, self._silent_s = controller, silent_s
        self._number, self._heard_s = -1, 0.0

    def start(self, now_s: float) -> None:
        """Count silence from now on."""
        self._heard_s = now_s

    def is_new(self, number: int, now_s: float) -> bool:
        """Return whether an answer of this number [its own count, or time] was not given before.

        Raises:
            ArmFault: when it was, and the last new one was too long ago.
        """
        if number != self._number:
            self._number, self._heard_s = number, now_s
            return True
        if not now_s - self._heard_s <= self._silent_s:
            raise ArmFault(
                f"{self._controller} has not answered for {self._silent_s:.2f} s; check its power and its network cable"
            )
        return False


class Backoff:
    """How long an arm is left alone after a fault: ever longer while it is lost soon after it was held.

    Taking hold again and again of an arm that cannot be held wears it; one that cannot be found is not touched.
    """

    FIRST_S, MOST_S, SOON_S = 1.0, 60.0, 60.0

    def __init__(self) -> None:
        self._in_a_row = 0

    def wait_s(self, held_s: float | None) -> float:
        """Return the wait after a fault of an arm held for so long, None: not at all [s]."""
        if held_s is None:
            return self.FIRST_S
        self._in_a_row = self._in_a_row + 1 if held_s < self.SOON_S else 1
        return float(min(self.FIRST_S * 2.0 ** min(self._in_a_row - 1, 10), self.MOST_S))


_CABLES = "check power and cables along the arm"
