"""F47: a classifier that calls failures a success; the votes and the audit that stand between it and learning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from casebook import Case

from armtune_policies.contract import Verdict
from armtune_policies.reward.audit import AuditParams, Decision, Review, alarms
from armtune_policies.reward.calibrate import Limits, verdict
from armtune_policies.reward.noise import ErrorRates, NoiseChannel
from armtune_policies.reward.vote import first_complete

pytestmark = [pytest.mark.fault("F47")]
EPISODES, STEPS = 1000, 40


def false_stops(need: int, window: int, correlation: float) -> float:
    """Part of the episodes without success that a vote ends, of a classifier that is wrong once in twenty frames."""
    flips, ended = NoiseChannel(ErrorRates(0.05, 0.0), correlation, seed=1), 0
    for i in range(EPISODES):
        said = [Verdict.YES if wrong else Verdict.NO for wrong in flips.errors(f"run-{i:05d}", STEPS)[:, 0]]
        ended += first_complete(said, need, window) is not None
    return ended / EPISODES


def test_the_vote_ends_few_episodes_of_a_classifier_that_flips_one_frame_in_twenty(case: Case) -> None:
    case.by("5 % flips, independent")
    single, vote = false_stops(1, 1, 0.0), false_stops(3, 4, 0.0)
    assert single > 0.8  # 1 - 0.95^40 = 0.87: what ending an episode on one frame would do
    case.nothing("3 in 10 failed episodes end by the default vote", false_stops(2, 3, 0.0) >= 0.3)
    case.nothing("3 in 100 end by a vote of 3 of 4", vote >= 0.03)


def test_errors_in_bursts_pass_any_vote_and_are_the_audits_to_find(case: Case) -> None:
    case.by("5 % flips, in bursts: found by the audit")
    assert false_stops(3, 4, 0.98) > 0.05
    params, rng = AuditParams(), np.random.default_rng(0)
    honest = rng.random(60) < 0.2
    assert alarms([], list(honest), params) == []
    fooled = [*honest, *([True] * 20)]
    assert "the success rate jumped" in alarms([], fooled, params)[0]
    reviewed = [Review(Decision("run-00060", s, Verdict.YES), Verdict.NO) for s in range(6)]
    assert "precision 0.000" in alarms(reviewed, [], params)[0]


def test_what_is_not_a_probability_never_ends_an_episode(case: Case) -> None:
    case.by("NaN, infinity, below 0, above 1")
    said = [verdict(p, Limits(0.5)) for p in (math.nan, math.inf, -math.inf, -0.1, 1.1, None)]
    case.nothing("NaN counts as yes", first_complete(said * 10, 1, 1) is not None)
