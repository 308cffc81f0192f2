"""Which data to keep in practice, by the three regimes of 2510.01460.

A pre-trained policy that does better than its data is worth staying near; one that does worse
needs the data. Better and worse are Welch t-tests of returns with a margin. Our returns are
successes, 0 or 1: what the paper's normalised score is in tasks with one reward at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

MARGIN = 0.05
LEVEL = 0.05
WARMUP_STEPS = 5000
"""WSRL's frozen steps (2412.07762); ours are at most a tenth of the practice."""
CAVEATS = (
    "right in 45 of the paper's 63 settings, opposite in 3",
    "returns mislead where rewards are sparse and tasks long, and say nothing of the critic (its reviewers)",
    "the number of warm-up steps is ours, not the paper's",
)
WHY = {
    "superior": "the policy beats its data: stay near it, leave the data out",
    "comparable": "policy and data are alike: keep both",
    "inferior": "the data beats the policy: keep replaying it; if practice stalls, try agent.resets_optimiser=true "
    "(the paper resets whole networks, better in 13 of 23)",
}


@dataclass(frozen=True)
class Advice:
    """A regime and what follows from it; means are of returns, ``p_*`` one-sided."""

    regime: str
    policy_mean: float
    data_mean: float
    policy_n: int
    data_n: int
    p_superior: float
    p_inferior: float
    overrides: tuple[str, ...]
    why: str


def advise(policy: Sequence[float], data: Sequence[float], practice_steps: int, margin: float = MARGIN) -> Advice:
    """Compare a policy's returns with its data's and say how to practise.

    Args:
        policy: A return per evaluated episode, 0..1.
        data: A return per episode that it was trained on, 0..1.
        practice_steps: Control steps that practice is to have.
        margin: What a difference must exceed to count.

    Raises:
        ValueError: for fewer than two episodes, or returns outside 0..1.
    """
    ours, theirs = _returns("policy", policy), _returns("data", data)
    superior, inferior = _p_greater(ours, theirs, margin), _p_greater(theirs, ours, margin)
    regime = "superior" if superior < LEVEL else "inferior" if inferior < LEVEL else "comparable"
    share = 0.0 if regime == "superior" else 0.5
    warmup = 0 if regime == "inferior" else min(WARMUP_STEPS, practice_steps // 10)
    overrides = (f"agent.offline_share={share:g}", f"agent.offline_share_end={share:g}", f"agent.warmup_steps={warmup}")
    more = ("agent.penalty_online=true",) if regime == "superior" else ()
    means = float(ours.mean()), float(theirs.mean())
    return Advice(regime, *means, len(ours), len(theirs), superior, inferior, (*overrides, *more), WHY[regime])


def _p_greater(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], margin: float) -> float:
    """Return how likely such a lead of ``a`` over ``b`` is where the true one is the margin (Welch's test)."""
    if np.ptp(a) == 0 and np.ptp(b) == 0:  # no spread to test by: the means are all there is
        return float(not a[0] - b[0] > margin)
    ours, theirs = ((one.mean(), one.std(ddof=1), len(one)) for one in (a - margin, b))
    return float(stats.ttest_ind_from_stats(*ours, *theirs, equal_var=False, alternative="greater").pvalue)


def _returns(what: str, values: Sequence[float]) -> npt.NDArray[np.float64]:
    made = np.asarray(values, np.float64)
    if len(made) < 2:
        raise ValueError(f"{what}: expected at least 2 episodes to compare, got {len(made)}")
    if not ((made >= 0) & (made <= 1)).all():
        raise ValueError(f"{what}: expected returns in 0..1, got {made.min():g} to {made.max():g}")
    return made
