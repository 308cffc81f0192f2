"""Noise on what a policy proposes while it practises, less with every episode. Pure.

From step to step it goes on as an arm's motion does (an AR(1) process): white noise of the same size wears an arm and
leads it nowhere. The gripper is left alone, for it would drop what it holds. The same seed, episode and step give the
same noise, whatever was asked for before.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec

Floats = npt.NDArray[np.float32]

CORRELATION = 0.7
"""Of the noise with that of the step before: half of it is gone after two steps."""


class Exploration:
    """How far proposals stray from the mean.

    Args:
        action: Whose bounds the noise is a part of; nothing proposed leaves them.
        first: Standard deviation in the first episode, in parts of half the range of each number.
        last: The same from episode ``over`` on; in between it goes evenly from the one to the other.
        over: Episodes.
        seed: Of the run.
    """

    def __init__(self, action: ActionSpec, first: float, last: float, over: int, seed: int) -> None:
        self._low, self._high = np.asarray(action.low, np.float32), np.asarray(action.high, np.float32)
        self._half = (self._high - self._low) / 2
        self._half[-1] = 0.0
        self._first, self._last, self._over, self._seed = first, last, over, seed
        self._index, self._drawn = -1, list[Floats]()

    def scale(self, index: int) -> float:
        """Return the standard deviation in an episode, in parts of half a range."""
        done = min(index / self._over, 1.0)
        return self._first + done * (self._last - self._first)

    def strayed(self, proposed: Floats, index: int, step: int) -> Floats:
        """Return a proposal (7,) with the noise of a step of an episode, inside the bounds."""
        if not (scale := self.scale(index)):
            return proposed
        noise = scale * self._noise(index, step) * self._half
        return np.clip(proposed + noise, self._low, self._high).astype(np.float32)

    def _noise(self, index: int, step: int) -> Floats:
        if index != self._index:
            self._index, self._drawn = index, []
            self._rng = np.random.default_rng([self._seed, 4, index])
        while len(self._drawn) <= step:
            fresh = self._rng.normal(size=len(self._half)).astype(np.float32)
            before = self._drawn[-1] if self._drawn else fresh
            more = math.sqrt(1 - CORRELATION**2) * fresh
            self._drawn.append(CORRELATION * before + more if self._drawn else fresh)
        return self._drawn[step]
