"""What a report says, as plain values; nothing here draws or reads files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armtune_policies.episode.rate import wilson


@dataclass(frozen=True)
class Rate:
    """Successes out of trials, with the 95 % Wilson score interval."""

    successes: int
    trials: int

    @property
    def share(self) -> float:
        """0..1, and 0 when nothing was tried."""
        return self.successes / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound, 0..1; the whole range when nothing was tried."""
        return wilson(self.successes, self.trials) if self.trials else (0.0, 1.0)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.successes}/{self.trials} = {self.share:.0%} (95 % interval {low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Practised:
    """One episode of practice as its file tells it."""

    index: int
    direction: str
    outcome: str
    steps: int
    policy_version: str


def over_time(episodes: Sequence[Practised], period_s: float, window: int) -> list[tuple[float, Rate]]:
    """Return (robot minutes of motion so far, success rate of the last ``window`` episodes)."""
    points, steps = [], 0
    for i, episode in enumerate(episodes):
        steps += episode.steps
        last = episodes[max(0, i + 1 - window) : i + 1]
        hits = sum(e.outcome == "success" for e in last)
        points.append((steps * period_s / 60.0, Rate(hits, len(last))))
    return points
