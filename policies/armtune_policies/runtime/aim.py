"""Where a try is aimed while practice fails: each elsewhere, farther off with every failure. Pure.

A policy before a table other than those it was shown is wrong in the same way at every try: it reaches two centimetres
beside the tab, again and again. Noise from step to step cannot mend that, for the policy steers back. So the whole try
is shifted: the policy is told that its tool is elsewhere than it is, by the same from the first step to the last. What
is recorded, and learnt from, is where the tool really was. That noise which stays for an episode explores better is
known from parameter space (Plappert et al. 2018, arXiv:1706.01905).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Aim:
    """How far off a try takes its tool to be.

    Args:
        step_m: Standard deviation along each axis [m], per failure since the last success; 0 for never.
        most_m: The most of it [m].
        seed: Of the run.
    """

    def __init__(self, step_m: float, most_m: float, seed: int) -> None:
        self._step_m, self._most_m, self._seed = step_m, most_m, seed
        self._failures, self._heard = 0, ""

    def hear(self, episode_id: str, is_success: bool) -> None:
        """Take how an episode ended; told twice it counts once."""
        if episode_id != self._heard:
            self._heard, self._failures = episode_id, 0 if is_success else self._failures + 1

    def width_m(self, failures: int) -> float:
        """Return the standard deviation along each axis [m] after so many failures."""
        return min(self._step_m * failures, self._most_m)

    def off_m(self, index: int, failures: int | None = None) -> Floats:
        """Return by how much [m] (3,) the try of an episode takes its tool to be off, in the frame of the state.

        Args:
            index: Of the episode in its run: the same index and failures give the same.
            failures: Since the last success; those heard of without.
        """
        width_m = self.width_m(self._failures if failures is None else failures)
        return np.random.default_rng([self._seed, 5, index]).normal(0.0, width_m, 3).astype(np.float32)


def shifted(state: Floats, off_m: Floats) -> Floats:
    """Return a state (S,), whose first three numbers are where the tool is [m], for a tool that is off by (3,)."""
    if not off_m.any():
        return state
    return np.concatenate([state[:3] + off_m, state[3:]]).astype(np.float32)
