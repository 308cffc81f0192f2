"""From a model's probability to what the reward node says, and how long it took. Pure."""

from __future__ import annotations

from collections import deque

import numpy as np

from armtune_policies.contract import Verdict
from armtune_policies.reward.calibrate import Limits, limits_of, verdict
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.noise import channel

from .scorer import Answer
from .settings import RewardParams

EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
RECENT = 1000


class Reader:
    """Reads answers by the config's threshold, or by the model's own threshold and abstain band."""

    def __init__(self, params: RewardParams, seed: int) -> None:
        self._threshold, self._preset = params.threshold, params.noise
        self._noise = channel(params.noise, params.noise_correlation, seed)

    def digest(self, model: RewardModel) -> str:
        """Return what labels say who judged; a channel's answers are not the model's."""
        return model.manifest_digest if self._noise is None else f"{model.manifest_digest}+noise.{self._preset}"

    def read(self, answer: Answer) -> tuple[Verdict, float]:
        """Return verdict and probability; NaN where the verdict is unknown."""
        asked, p = answer.question, answer.probability
        limits = limits_of(asked.model.limits, self._threshold)
        said = verdict(p, limits)
        if p is None or said is Verdict.UNKNOWN:
            return Verdict.UNKNOWN, float("nan")
        if self._noise is not None:
            p = self._noise.probability(asked.episode_id, asked.step, p, limits.threshold)
            said = verdict(p, Limits(limits.threshold))
        return said, p


class Latencies:
    """How long answers took: all of them counted by size, percentiles of the newest."""

    def __init__(self) -> None:
        self._recent_s = deque[float](maxlen=RECENT)
        self._counts = [0] * (len(EDGES_MS) + 1)

    def add(self, latency_s: float) -> None:
        self._recent_s.append(latency_s)
        self._counts[int(np.searchsorted(EDGES_MS, 1e3 * latency_s))] += 1

    def values(self) -> dict[str, float | str]:
        """Return what diagnostics show; the histogram says ``up to ms: how many``, without those of none."""
        p50, p99 = np.percentile(list(self._recent_s), (50, 99)) if self._recent_s else (0.0, 0.0)
        names = [*(f"<={edge}" for edge in EDGES_MS), f">{EDGES_MS[-1]}"]
        histogram = " ".join(f"{name}:{count}" for name, count in zip(names, self._counts) if count)
        return {
            "latency_p50_ms": round(1e3 * float(p50), 3),
            "latency_p99_ms": round(1e3 * float(p99), 3),
            "latency_histogram_ms": histogram,
        }
