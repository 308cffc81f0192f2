"""Where a try is aimed while practice fails: each elsewhere, farther off with every failure. Pure.

A policy before a table other than those it was shown is wrong in the same way at every try: it reaches two centimetres
beside the tab, again and again. Noise from step to step cannot mend that, for the policy steers back. So the whole try
is shifted: the policy is told that its tool is elsewhere than it is, by the same from the first step to the last. What
is recorded, and learnt from, is where the tool really was. That noise which stays for an episode explores better is
known from parameter space (Plappert et al. 2018, arXiv:1706.01905).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Aim:
    """How far off a try takes its tool to be."""

    step_m: float
    """Standard deviation along each axis [m], per failure since the last success; 0 for never."""
    most_m: float
    """The most of it [m]."""
    seed: int
    """Of the run."""

    def width_m(self, failures: int) -> float:
        """Return the standard deviation along each axis [m] after so many failures since the last success."""
        return min(self.step_m * failures, self.most_m)

    def off_m(self, index: int, failures: int) -> Floats:
        """Return by how much [m] (3,) the try of an episode takes its tool to be off, in the frame of the state.

        The same index and failures give the same.
        """
        return np.float32(self.width_m(failures)) * _drawn(self.seed, index)


@lru_cache(maxsize=8)
def _drawn(seed: int, index: int) -> Floats:
    """Return standard normal numbers (3,), drawn once an episode: this is on the control path."""
    return np.random.default_rng([seed, 5, index]).normal(0.0, 1.0, 3).astype(np.float32)


def shifted(state: Floats, off_m: Floats) -> Floats:
    """Return a state (S,), whose first three numbers are where the tool is [m], for a tool that is off by (3,)."""
    if not off_m.any():
        return state
    return np.concatenate([state[:3] + off_m, state[3:]]).astype(np.float32)
