"""A success classifier made as bad as the paper's, for stress-testing practice in simulation.

False positives and false negatives come at given rates, in bursts: a scene that is judged wrongly now is
so a step later. Each kind of error is a two-state Markov chain over the steps of an episode that keeps its
rate r and has autocorrelation c^k at lag k: from wrong to wrong with r + c (1 - r), from right to wrong
with r (1 - c). Both chains run whatever is judged, so what is drawn depends on seed, episode and step only.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import Verdict

NONE = "none"
CORRELATION = 0.98
"""Our choice: at 6 % false positives one episode of 40 steps in ten is then stopped falsely, as on the real robot."""


@dataclass(frozen=True)
class ErrorRates:
    """How often a frame without success is called one, and one with success none."""

    false_positive: float
    false_negative: float

    def __post_init__(self) -> None:
        """Raises ValueError unless both lie in 0..1."""
        if not (0.0 <= self.false_positive <= 1.0 and 0.0 <= self.false_negative <= 1.0):
            raise ValueError(f"expected error rates in 0 to 1, got {self.false_positive} and {self.false_negative}")


PRESETS = {
    "cloth_covering": ErrorRates(0.063, 0.809),
    "cloth_folding": ErrorRates(0.012, 0.598),
    "pot_pick_place": ErrorRates(0.061, 0.813),
}
"""RoboFuME's fine-tuned MiniGPT-4 on its own online data (Yang et al. 2023, arXiv 2310.15145, table II)."""


class NoiseChannel:
    """Turns some answers into their opposite; the same ones for the same seed, episode and step, in any order.

    The newest episode's are kept, so that a step costs one draw. Not for use by two threads at once.
    """

    def __init__(self, rates: ErrorRates, correlation: float = CORRELATION, seed: int = 0) -> None:
        """Raises ValueError unless 0 <= correlation < 1."""
        if not 0.0 <= correlation < 1.0:
            raise ValueError(f"expected a correlation from 0 to below 1, got {correlation}")
        self._rates = np.array([rates.false_positive, rates.false_negative])
        self._correlation, self._seed = correlation, seed
        self._episode, self._rng, self._wrong = "", np.random.default_rng(0), list[npt.NDArray[np.bool_]]()

    def errors(self, episode_id: str, steps: int) -> npt.NDArray[np.bool_]:
        """Return which of an episode's first steps would be wrong, (T, 2): as false positives, as false negatives."""
        if episode_id != self._episode or not self._wrong:  # drawn on from step to step, not anew
            key = int.from_bytes(hashlib.sha256(episode_id.encode()).digest()[:8], "big")
            self._episode, self._rng, self._wrong = episode_id, np.random.default_rng([self._seed, key]), []
        stay = self._rates + self._correlation * (1.0 - self._rates)
        begin = self._rates * (1.0 - self._correlation)
        while len(self._wrong) < steps:
            chance = np.where(self._wrong[-1], stay, begin) if self._wrong else self._rates
            self._wrong.append(self._rng.random(2) < chance)
        return np.array(self._wrong[:steps], bool).reshape(steps, 2)

    def verdict(self, episode_id: str, step: int, said: Verdict) -> Verdict:
        """Return what is said instead; unknown stays unknown."""
        if said is Verdict.UNKNOWN:
            return said
        self.errors(episode_id, step + 1)
        false_positive, false_negative = self._wrong[step]
        if said is Verdict.NO:
            return Verdict.YES if false_positive else Verdict.NO
        return Verdict.NO if false_negative else Verdict.YES

    def probability(self, episode_id: str, step: int, probability: float, threshold: float) -> float:
        """Return a probability, or its mirror image about the threshold where the answer is turned."""
        said = Verdict.YES if probability > threshold else Verdict.NO
        if not math.isfinite(probability) or self.verdict(episode_id, step, said) is said:
            return probability
        if said is Verdict.YES:
            return threshold * (1.0 - probability) / (1.0 - threshold)
        return max(1.0 - (1.0 - threshold) * probability / threshold, math.nextafter(threshold, 1.0))


def channel(preset: str, correlation: float = CORRELATION, seed: int = 0) -> NoiseChannel | None:
    """Return the channel of a preset's name, None for ``none``.

    Raises:
        ValueError: naming those there are.
    """
    if preset == NONE:
        return None
    if preset not in PRESETS:
        raise ValueError(f"noise: expected one of {', '.join((NONE, *PRESETS))}; got {preset!r}")
    return NoiseChannel(PRESETS[preset], correlation, seed)
