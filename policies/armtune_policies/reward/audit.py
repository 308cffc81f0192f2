"""Which decisions a person should look at, and what their answers say of the success classifier. Pure.

A decision is one step's yes or no. The sample is a hash of episode and step: the same on every machine,
unknown to the policy, and fair, so that precision and recall among the reviewed are those of all.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from armtune_policies.contract import Checked, Verdict, num
from armtune_policies.episode.rate import wilson


@dataclass(frozen=True, kw_only=True)
class AuditParams(Checked):
    """How much is reviewed, and what raises a question."""

    share: float = num(0.05, low=0.0, high=1.0, doc="part of the decisions that are offered for review")
    floor: float = num(0.8, low=0.0, high=1.0, doc="precision must be shown to lie above")
    rise: float = num(0.5, low=0.05, high=1.0, doc="a jump takes away this part of the failures")
    reference: int = num(40, low=5, high=10_000, doc="episodes that say what is usual")
    lag: int = num(10, low=0, high=1_000, doc="newest episodes that do not say it yet")
    episodes_per_false_alarm: float = num(1000.0, low=2.0, high=1e9, doc="of a rate that does not change")


@dataclass(frozen=True)
class Decision:
    """What the classifier said of one step."""

    episode_id: str
    step: int
    said: Verdict


@dataclass(frozen=True)
class Review:
    """A decision and what a person makes of it; unknown is "unsure"."""

    decision: Decision
    truth: Verdict


@dataclass(frozen=True)
class Rate:
    """Hits among so many, with the 95 % Wilson interval; (0, 1) where there is none."""

    hits: int
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.count) if self.count else (0.0, 1.0)

    def __str__(self) -> str:
        low, high = self.interval
        value = f"{self.hits / self.count:.3f}" if self.count else "unknown"
        return f"{value} (95 % {low:.3f} to {high:.3f}, n = {self.count})"


def is_sampled(episode_id: str, step: int, share: float) -> bool:
    """Whether a decision is offered for review; a larger share offers the same ones and more."""
    digest = hashlib.sha256(f"{episode_id}:{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


def due(decisions: Iterable[Decision], reviewed: Iterable[Review], share: float) -> list[Decision]:
    """Return the sampled decisions that nobody has looked at; unknown is no decision."""
    done = {(review.decision.episode_id, review.decision.step) for review in reviewed}
    return [
        decision
        for decision in decisions
        if decision.said is not Verdict.UNKNOWN
        and (decision.episode_id, decision.step) not in done
        and is_sampled(decision.episode_id, decision.step, share)
    ]


def precision(reviews: Iterable[Review]) -> Rate:
    """Return how many of the reviewed yes are true; where a person is unsure, nothing is counted."""
    called = [review.truth for review in reviews if review.decision.said is Verdict.YES and review.truth]
    return Rate(called.count(Verdict.YES), len(called))


def recall(reviews: Iterable[Review]) -> Rate:
    """Return how many of the reviewed successes were said yes to."""
    true = [review.decision.said for review in reviews if review.truth is Verdict.YES]
    return Rate(true.count(Verdict.YES), len(true))


def false_stops(reviews: Iterable[Review], ends: Mapping[str, int]) -> Rate:
    """Return how many of the reviewed ends of successes were none.

    Args:
        reviews: All there are.
        ends: By episode that the vote ended, the step at which it did.
    """
    asked = [review.truth for review in reviews if ends.get(review.decision.episode_id) == review.decision.step]
    return Rate(asked.count(Verdict.NO), len(asked) - asked.count(Verdict.UNKNOWN))


def is_below(rate: Rate, floor: float) -> bool:
    """Whether a rate's lower bound lies below a floor that so many, all of them hits, would have passed.

    A few reviews cannot show a high rate; until they could, only an upper bound below the floor counts.
    """
    if not rate.count:
        return False
    low, high = rate.interval
    return high < floor or (low < floor <= wilson(rate.count, rate.count)[0])


NEARLY_ALWAYS = 0.9
"""A success rate above has nowhere to jump to."""


def jumps(outcomes: Sequence[bool], params: AuditParams) -> list[int]:
    """Return the episodes at which a success rate is found to have jumped up.

    A cumulative sum of log-likelihood ratios (Page 1954) of the usual rate p against p + rise (1 - p). Of a
    known rate that stays, alarms come at most once in ``episodes_per_false_alarm`` episodes (Lorden 1971); here
    p is estimated from the ``reference`` episodes before the last ``lag``, so that a rate that climbs slowly is
    followed. After an alarm all begins anew.
    """
    found, start, score, limit = [], 0, 0.0, math.log(params.episodes_per_false_alarm)
    for i, won in enumerate(outcomes):
        usual = outcomes[max(i - params.lag - params.reference, start) : max(i - params.lag, start)]
        before = (sum(usual) + 1.0) / (len(usual) + 2.0)
        if len(usual) < params.reference or before > NEARLY_ALWAYS:
            score = 0.0
            continue
        after = before + params.rise * (1.0 - before)
        ratio = after / before if won else (1.0 - after) / (1.0 - before)
        score = max(score + math.log(max(ratio, 1e-9)), 0.0)
        if score > limit:
            found.append(i)
            start, score = i + 1, 0.0
    return found


def alarms(reviews: Sequence[Review], outcomes: Sequence[bool], params: AuditParams) -> list[str]:
    """Return what should stop practice for a look, each in a sentence.

    Args:
        reviews: All there are.
        outcomes: Of the finished episodes, in order: whether the vote called them a success.
        params: The floor and the size of a jump.
    """
    found = []
    if is_below(rate := precision(reviews), params.floor):
        found.append(f"precision {rate} is not shown to be above {params.floor:g}: retrain the classifier")
    if (at := jumps(outcomes, params)) and len(outcomes) - at[-1] <= params.lag + params.reference:
        found.append(f"the success rate jumped at episode {at[-1]}: see whether the successes since are real")
    return found
