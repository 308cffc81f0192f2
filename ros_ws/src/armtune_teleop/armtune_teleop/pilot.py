"""From readings to proposed tool deltas: dead-man, clutch, speeds, gripper, episode keys. Pure.

Readings come faster than control steps. What they wish is summed up between two steps, so that a tap moves the tool as
far as it was long and letting go stops it: the proposal is the integral of the sticks, or the way of a hand that is
followed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import ActionSpec
from armtune_policies.contract.topics import KEYS

from .hand import Hand
from .keys import AGAIN_S
from .settings import POSES, TeleopParams
from .table import GRIPPER, Reading, Refused, Wish

Array = NDArray[np.float64]
PICK_UP = 0.1
"""An absolute gripper axis takes over once it is this near the gripper, or has passed it."""
PASSED = 0.5


class Pilot:
    """One operator. Feed it ``hear`` (and ``feel`` for poses); ask ``propose`` once a control step.

    It engages only after it has seen the dead-man released: one that is down when the device is plugged in, an
    episode ends or the gate stops must be let go first. Not engaged, it proposes nothing at all.

    Args:
        params: The device.
        spec: Bounds of a proposal, over one control period.
    """

    def __init__(self, params: TeleopParams, spec: ActionSpec) -> None:
        self._params, self._table = params, params.table
        self._high = np.array(spec.high[:6])
        self._hand = Hand(params, self._high) if params.kind in POSES else None
        self._speeds, self._speed = tuple(sorted(params.speeds)), params.speeds[0]
        self._sum, self._count = np.zeros(6), 0
        self._wish = Wish(np.zeros(6), frozenset())
        self._heard_ns: int | None = None
        self._felt_ns: int | None = None
        self._lease = self._busy_ns = 0
        self._is_released = False
        self._again_ns = round(AGAIN_S * 1e9) if params.kind == "keyboard" else 0
        self._down_ns: dict[str, int] = {}
        self._opening: float | None = None
        self._followed: float | None = None
        self.engaged = False
        self.lost = ""
        """Why it let go though the operator did not; blank once they have the arm again."""

    @property
    def speed(self) -> float:
        """Part of full speed now."""
        return self._speed

    @property
    def opening(self) -> float | None:
        """Gripper opening proposed now, None before the first engagement."""
        return self._opening

    @property
    def wish(self) -> Wish:
        """What the newest reading said."""
        return self._wish

    # -- in --------------------------------------------------------------------------------

    def hear(self, reading: Reading, now_ns: int, opening: Callable[[], float]) -> tuple[str, ...]:
        """Take a reading; return the episode keys that were pressed just now.

        Args:
            reading: Of the device.
            now_ns: Steady time.
            opening: Asked on engaging: what the gripper is told now, 0..1.

        Raises:
            Refused: for a number that is not finite; the dead-man then counts as released.
        """
        try:
            wish = self._table.read(reading)
        except Refused as why:
            self.drop(str(why))
            raise
        before, self._wish, self._heard_ns = self._wish, wish, now_ns
        pressed = self._pressed(wish.actions, before.actions, now_ns)
        is_busy = wish.actions != before.actions or bool(np.any(wish.motion))
        if is_busy:
            self._busy_ns = now_ns
        self._engage(wish, "engage" in pressed, now_ns, opening)
        if self.engaged:
            self._sum_up(wish, pressed)
        self._choose_speed(pressed)
        return tuple(key for key in KEYS if key in pressed)

    def feel(self, p: Array, rotation: Array, now_ns: int) -> None:
        """Take the pose (3,) [m], (3, 3) of a hand that is followed, in its own frame, felt at steady time ``now_ns``.

        Raises:
            Refused: when it is no pose, or leapt; the dead-man then counts as released.
        """
        if self._hand is None:
            return
        self._felt_ns = now_ns
        try:
            self._hand.feel(p, rotation, counts=self.engaged and "clutch" not in self._wish.actions, scale=self._speed)
        except Refused as why:
            self.drop(str(why))
            raise

    def drop(self, lost: str = "") -> None:
        """Let go, whatever the dead-man says; it must be released before it counts again.

        Args:
            lost: Why, where the operator cannot be heard any more; blank where there is nothing left to hold.
        """
        self.lost = lost if self.engaged else self.lost
        self._let_go()
        self._is_released = False

    def silent(self, now_ns: int) -> str:
        """Let go while nothing is heard for too long, of the device or of the hand that is followed; return of what."""
        streams = {"device": self._heard_ns}
        if self._hand is not None and self._heard_ns is not None:
            streams["pose"] = -(10**18) if self._felt_ns is None else self._felt_ns
        for what, newest_ns in streams.items():
            if newest_ns is not None and not (now_ns - newest_ns) / 1e9 <= self._params.silence_s:
                self.drop(why := f"nothing heard from the {what} for {self._params.silence_s:g} s, let go")
                return why
        return ""

    # -- out -------------------------------------------------------------------------------

    def propose(self, lease: int = 0) -> Array | None:
        """Return the tool delta (7,) [m, rad, opening] of the time since the last one; None when not engaged.

        A hand that is followed begins where it is at the first step of a ``lease``: what it did before is not owed.
        """
        if not self.engaged or self._opening is None:
            return None
        before, self._lease = self._lease, lease
        if lease != before and self._hand is not None:
            self._hand.begin_anew()
        if self._hand is not None:
            delta = self._hand.take()
        else:
            delta = self._sum / max(self._count, 1) * self._high * self._speed
        self._sum, self._count = np.zeros(6), 0
        return np.append(np.clip(delta, -self._high, self._high), self._opening)

    # -- parts -----------------------------------------------------------------------------

    def _pressed(self, down: frozenset[str], before: frozenset[str], now_ns: int) -> frozenset[str]:
        """Return what went down just now; a terminal's repeat is no press, except where one lets go."""
        lets_go = {"engage"} if self.engaged else set()
        is_new = lambda name: name in lets_go or now_ns - self._down_ns.get(name, -self._again_ns) >= self._again_ns  # noqa: E731
        pressed = frozenset(filter(is_new, down - before))
        self._down_ns.update(dict.fromkeys(down, now_ns))
        return pressed

    def _engage(self, wish: Wish, is_edge: bool, now_ns: int, opening: Callable[[], float]) -> None:
        is_down = "engage" in wish.actions
        if self._params.engage == "hold":
            wanted = is_down
        elif self.engaged and not (now_ns - self._busy_ns) / 1e9 <= self._params.idle_s:
            self.drop(f"no key for {self._params.idle_s:g} s, let go")
            return
        else:
            wanted = self.engaged != (is_edge and self._is_released)
        may = self._is_released or self.engaged
        if not is_down:
            self._is_released = True
        if wanted and may and not self.engaged:
            self.engaged, self.lost = True, ""
            self._opening = min(max(opening(), 0.0), 1.0)
            self._followed = None
            self._begin_anew()
        elif not wanted and self.engaged:
            self._let_go()

    def _let_go(self) -> None:
        self.engaged = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._sum, self._count = np.zeros(6), 0
        if self._hand is not None:
            self._hand.begin_anew()

    def _sum_up(self, wish: Wish, pressed: frozenset[str]) -> None:
        if "clutch" not in wish.actions:
            self._sum += wish.motion
            self._follow_gripper(wish.opening)
        else:
            self._followed = None
        self._count += 1
        if GRIPPER in pressed and self._opening is not None:
            self._opening = 0.0 if self._opening > PASSED else 1.0

    def _follow_gripper(self, wanted: float | None) -> None:
        """An absolute axis is followed from where it meets the gripper on: engaging never opens a hand."""
        if wanted is None or self._opening is None:
            return
        if self._followed is not None or abs(wanted - self._opening) <= PICK_UP:
            self._opening = self._followed = wanted

    def _choose_speed(self, pressed: frozenset[str]) -> None:
        step = ("faster" in pressed) - ("slower" in pressed)
        place = self._speeds.index(self._speed) + step
        self._speed = self._speeds[min(max(place, 0), len(self._speeds) - 1)]
