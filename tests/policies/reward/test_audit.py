from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Verdict
from armtune_policies.reward.audit import (
    AuditParams,
    Decision,
    Rate,
    Review,
    alarms,
    due,
    false_stops,
    is_below,
    is_sampled,
    jumps,
    precision,
    recall,
)

PARAMS = AuditParams()
verdicts = st.sampled_from(Verdict)


def decisions(episodes: int, steps: int) -> list[Decision]:
    said = (Verdict.NO, Verdict.YES, Verdict.UNKNOWN)
    return [Decision(f"run-{e:05d}", s, said[(e + s) % 3]) for e in range(episodes) for s in range(steps)]


def reviews(*pairs: tuple[Verdict, Verdict, int]) -> list[Review]:
    """So many of each (said, truth)."""
    return [Review(Decision("run-00000", i, said), truth) for said, truth, n in pairs for i in range(n)]


def test_one_decision_in_twenty_is_due_and_unknown_is_none() -> None:
    asked = decisions(300, 40)
    found = due(asked, [], 0.05)
    known = [d for d in asked if d.said is not Verdict.UNKNOWN]
    assert abs(len(found) / len(known) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(known))
    assert {d.said for d in found} == {Verdict.YES, Verdict.NO}
    assert due(asked, [], 0.05) == found


@given(st.integers(0, 10**6), st.integers(0, 500), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_offers_the_same_and_more(episode: int, step: int, share: float, more: float) -> None:
    name = f"run-{episode:05d}"
    assert not is_sampled(name, step, share) or is_sampled(name, step, max(share, more))
    assert is_sampled(name, step, 1.0) and not is_sampled(name, step, 0.0)


def test_what_was_reviewed_is_no_longer_due_even_where_a_person_was_unsure() -> None:
    asked = due(decisions(50, 40), [], 0.05)
    seen = [Review(asked[0], Verdict.UNKNOWN), Review(asked[1], Verdict.YES)]
    assert due(decisions(50, 40), seen, 0.05) == asked[2:]


@given(st.lists(st.tuples(verdicts, verdicts)))
def test_precision_and_recall_are_those_of_the_reviews(pairs: list[tuple[Verdict, Verdict]]) -> None:
    rows = [Review(Decision("run-00000", i, said), truth) for i, (said, truth) in enumerate(pairs)]
    both = pairs.count((Verdict.YES, Verdict.YES))
    called = both + pairs.count((Verdict.YES, Verdict.NO))
    true = sum(truth is Verdict.YES for _, truth in pairs)
    assert precision(rows) == Rate(both, called) and recall(rows) == Rate(both, true)
    low, high = precision(rows).interval
    assert 0.0 <= low <= (both / called if called else 0.5) + 1e-9 and (both / called if called else 0.5) <= high + 1e-9


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.05, 0.99))
def test_the_floor_is_never_passed_by_lack_of_reviews_alone(hits: int, misses: int, floor: float) -> None:
    rate = Rate(hits, hits + misses)
    if is_below(rate, floor):
        assert misses > 0 and rate.interval[0] < floor
    assert not is_below(Rate(hits, hits), floor)


def test_precision_below_the_floor_is_an_alarm_once_reviews_could_have_shown_it() -> None:
    def says(right: int, wrong: int) -> list[str]:
        rows = reviews((Verdict.YES, Verdict.YES, right), (Verdict.YES, Verdict.NO, wrong))
        return alarms(rows, [], PARAMS)

    assert says(5, 1) == [] and says(60, 2) == []
    assert "precision 0.800 (95 %" in says(24, 6)[0] and "not shown to be above 0.8" in says(24, 6)[0]
    assert says(0, 5)  # five of five wrong: nobody needs to wait for more


@pytest.mark.fault("F48")
@pytest.mark.parametrize("rate", (0.1, 0.4, 0.7, 0.9))
def test_false_alarms_are_rare_while_the_success_rate_stays(rate: float) -> None:
    rng = np.random.default_rng(0)
    found = sum(len(jumps(list(rng.random(400) < rate), PARAMS)) for _ in range(60))
    # An estimated rate costs some of the bound: at most two alarms in 1000 episodes.
    assert found / (60 * (400 - PARAMS.reference - PARAMS.lag)) < 2 / PARAMS.episodes_per_false_alarm


@pytest.mark.fault("F48")
@pytest.mark.parametrize(("before", "after"), ((0.1, 0.9), (0.3, 0.95), (0.5, 1.0)))
def test_a_jump_is_found_within_twenty_five_episodes(before: float, after: float) -> None:
    rng, found = np.random.default_rng(1), 0
    for _ in range(100):
        outcomes = [*(rng.random(80) < before), *(rng.random(25) < after)]
        found += any(at >= 80 for at in jumps(outcomes, PARAMS))
    assert found >= 90


def test_a_rate_that_climbs_over_hundreds_of_episodes_is_practice_that_works() -> None:
    rng = np.random.default_rng(2)
    climbing = np.linspace(0.3, 0.9, 400)
    assert np.mean([len(jumps(list(rng.random(400) < climbing), PARAMS)) for _ in range(60)]) < 0.5


def test_a_jump_is_told_until_it_has_become_usual() -> None:
    rng = np.random.default_rng(3)
    outcomes = [*(rng.random(80) < 0.1), *([True] * 20)]
    assert "the success rate jumped at episode" in alarms([], outcomes, PARAMS)[0]
    assert alarms([], [*outcomes, *([True] * 100)], PARAMS) == []


def test_a_false_stop_is_an_end_that_a_person_denies() -> None:
    ends = {"a": 5, "b": 4, "c": 3}
    said = [("a", 5, Verdict.NO), ("a", 4, Verdict.NO), ("b", 4, Verdict.YES), ("c", 3, Verdict.UNKNOWN)]
    reviews = [Review(Decision(name, step, Verdict.YES), truth) for name, step, truth in [*said, ("d", 1, Verdict.NO)]]
    assert false_stops(reviews, ends) == Rate(1, 2)
