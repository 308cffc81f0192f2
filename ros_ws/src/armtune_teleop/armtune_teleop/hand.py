"""A hand that is followed: the motion of a pose, in its own frame, as tool deltas. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from armtune_safety import rotations

from .settings import TeleopParams
from .table import Refused

Array = NDArray[np.float64]
BEHIND = 1.0
"""What the tool may still owe after a step, in parts of a full one: it catches up, and soon stops with the hand."""


class Hand:
    """Sums up how a hand moved; ``take`` hands out a step's worth of it.

    Args:
        params: Scales, the rotation between frames, and what is a leap.
        high: Bounds of a step, shape (6,) [m, rad].
    """

    def __init__(self, params: TeleopParams, high: Array) -> None:
        self._params, self._high = params, high
        self._base_from_device = rotations.exp(params.base_from_device_rad)
        self._last: tuple[Array, Array] | None = None
        self._p, self._rotation = np.zeros(3), np.eye(3)

    def begin_anew(self) -> None:
        """Owe nothing; the next pose is where the hand begins."""
        self._last = None
        self._p, self._rotation = np.zeros(3), np.eye(3)

    def feel(self, p: Array, rotation: Array, counts: bool, scale: float) -> None:
        """Take a pose; its motion since the last one is owed if it ``counts``.

        Raises:
            Refused: when it is no pose, or too far from the last one to be a motion.
        """
        if not (np.all(np.isfinite(p)) and np.all(np.isfinite(rotation))):
            raise Refused(f"the device's pose is not finite: {p.tolist()}")
        if self._last is not None:
            move, turn = p - self._last[0], rotations.log(rotation @ self._last[1].T)
            if not (np.linalg.norm(move) <= self._params.jump_m and np.linalg.norm(turn) <= self._params.jump_rad):
                self.begin_anew()
                raise Refused(
                    f"the device's pose leapt by {np.linalg.norm(move):.3f} m, {np.linalg.norm(turn):.2f} rad"
                )
            if counts:
                self._p += self._base_from_device @ move * self._params.scale_m * scale
                step = rotations.exp(self._base_from_device @ turn * self._params.scale_rad * scale)
                self._rotation = step @ self._rotation
        self._last = p.copy(), rotation.copy()

    def take(self) -> Array:
        """Return the step (6,) [m, rad] that is owed, within bounds; of what is left at most ``BEHIND`` is kept."""
        owed = np.concatenate([self._p, rotations.log(self._rotation)])
        step = _within(owed, self._high)
        left = _within(owed - step, BEHIND * self._high)
        self._p, self._rotation = left[:3], rotations.exp(left[3:])
        return step


def _within(vector: Array, high: Array) -> Array:
    """A move and a turn (6,), each shortened to fit its bounds without a change of direction."""
    parts = []
    for part, bound in ((vector[:3], high[:3]), (vector[3:], high[3:])):
        excess = float(np.max(np.abs(part) / bound))
        parts.append(part / max(excess, 1.0))
    return np.concatenate(parts)
