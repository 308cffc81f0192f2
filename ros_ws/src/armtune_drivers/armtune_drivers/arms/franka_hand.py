"""The Franka Hand through libfranka: a few commands a second, one at a time, on a thread of its own.

It takes no stream of setpoints: a command runs until the fingers are there or hold something, and reading its state
waits for the hand's next packet. So the newest opening asked for is given to it whenever it is free.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from .base import ArmFault

_LOG = logging.getLogger(__name__)
_SHUT = 0.1
"""An opening below this is a grasp: the hand closes until it holds something, with force; above, it goes to a width."""
_NEWS, _REST = 0.05, 0.01
"""An opening this far from the last one given to the hand is given to it: while it changes, and once it rests."""
_WIDEST_M = 0.083
"""Of a hand that was homed: an engineer of its maker names 0.082 (libfranka issue 202). More are other fingers."""
_STOP_S = 2.0
FINGER_M_S = 0.05
"""Told as the hand's speed; no finger goes faster, whether that counts each or both (docs/hardware.md)."""
FORCE_N = 70.0
"""The force it can hold for long: no source was found (docs/hardware.md); ``arm.grip_effort`` is part of that."""


class Hand:
    """Follows openings (0 closed, 1 open) as well as a hand can that takes commands.

    Args:
        gripper: ``franky.Gripper``.
        open_m: Width between the fingers at opening 1 [m].
        force_n: How hard it holds [N].
    """

    def __init__(self, gripper: Any, open_m: float, force_n: float) -> None:
        self._gripper, self._open_m, self._force_n = gripper, open_m, force_n
        state = gripper.state
        if not open_m - 0.002 <= state.max_width <= _WIDEST_M:
            raise ArmFault(
                f"the hand opens to {state.max_width:g} m, expected {open_m:g}; home it in Desk, with nothing in it"
            )
        self.width_m: float = state.width
        self._wanted = self._given = self.width_m / open_m
        self._running: Any = None
        self._fault = ""
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="franka_hand", daemon=True)
        self._thread.start()

    @property
    def opening(self) -> float:
        """Where the fingers are; 1 is open.

        Raises:
            ArmFault: when the hand is lost.
        """
        if self._fault:
            raise ArmFault(f"the hand: {self._fault}")
        return self.width_m / self._open_m

    def follow(self, opening: float) -> None:
        """Ask for an opening; the newest counts."""
        self._wanted = opening

    def close(self) -> None:
        """Let go of the hand, not of what it holds."""
        self._quit.set()
        self._thread.join(timeout=_STOP_S)

    def _follow(self) -> None:
        before = self._wanted
        try:
            while not self._quit.is_set():
                self.width_m = self._gripper.state.width  # waits for the next packet
                if self._running is not None and self._running.wait(0.0):
                    self._end(self._running)
                    self._running = None
                wanted = self._wanted
                if self._running is None and self._is_news(wanted, wanted == before):
                    self._given, self._running = wanted, self._start(wanted)
                before = wanted
        except Exception as why:
            self._fault = f"{why}".strip().splitlines()[0] or type(why).__name__

    def _is_news(self, wanted: float, is_at_rest: bool) -> bool:
        is_grasp, was_grasp = wanted < _SHUT, self._given < _SHUT
        return is_grasp != was_grasp or (not is_grasp and abs(wanted - self._given) > (_REST if is_at_rest else _NEWS))

    def _start(self, opening: float) -> Any:
        if opening < _SHUT:  # whatever it closes on is what was meant
            return self._gripper.grasp_async(0.0, FINGER_M_S, self._force_n, self._open_m, self._open_m)
        return self._gripper.move_async(min(opening, 1.0) * self._open_m, FINGER_M_S)

    def _end(self, done: Any) -> None:
        """A move that something in the way ended is none of a fault: where the fingers are is read."""
        try:
            done.get()
        except Exception as why:
            _LOG.warning("the hand did not get to where it was told: %s", why)
