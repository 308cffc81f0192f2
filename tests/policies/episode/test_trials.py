"""The plan is fair and fixed by its seed; what it says is what was counted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import DIRECTIONS
from armtune_policies.episode.rate import wilson
from armtune_policies.episode.trials import difference, plan, sign_test, summary


@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
def test_each_policy_tries_each_scene_in_both_directions_next_to_the_others(scenes: int, of: int, seed: int) -> None:
    trials = plan(scenes, of, seed)
    assert [trial.number for trial in trials] == list(range(scenes * 2 * of))
    assert len({(t.scene, t.direction, t.policy) for t in trials}) == len(trials)
    for at in range(0, len(trials), of):
        block = trials[at : at + of]
        assert len({(t.scene, t.direction) for t in block}) == 1 and {t.policy for t in block} == set(range(of))
    assert plan(scenes, of, seed) == trials


def test_whose_turn_it_is_is_not_to_be_told_from_the_turn() -> None:
    firsts = Counter(trial.policy for trial in plan(200, 2, 5)[::2])
    assert 160 < firsts[0] < 240 and plan(200, 2, 5) != plan(200, 2, 6)


@given(st.lists(st.booleans(), min_size=2, max_size=48), st.integers(0, 9))
def test_what_is_done_is_counted_once_and_what_is_not_not_at_all(told: list[bool], seed: int) -> None:
    trials = plan(12, 2, seed)
    outcomes = dict(enumerate(told))
    found = summary(trials, outcomes, ("new", "old"))
    assert (found["n"], found["of"]) == (len(told), 48)
    both = [found["policies"][name]["both"] for name in ("new", "old")]
    assert sum(row["successes"] for row in both) == sum(told) and sum(row["n"] for row in both) == len(told)
    for row in both:
        low, high = wilson(row["successes"], row["n"]) if row["n"] else (0.0, 1.0)
        assert row["ci95"] == [round(low, 3), round(high, 3)]
    for way in DIRECTIONS:
        rows = [found["policies"][name][way] for name in ("new", "old")]
        assert sum(row["n"] for row in rows) == sum(trials[number].direction == way for number in outcomes)


def test_difference_is_that_of_a_published_example() -> None:
    """Fagerland, Lydersen, Laake 2014 (10.1002/sim.6148): 1, 1, 7, 12 of 21; Newcombe's interval -0.507 to -0.026."""
    assert difference(1, 1, 7, 12) == pytest.approx((-0.286, -0.507, -0.026), abs=5e-4)


@given(st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(any))
def test_difference_lies_within_its_interval_and_turned_round_is_its_opposite(table: list[int]) -> None:
    both, first, second, neither = table
    gap, low, high = difference(both, first, second, neither)
    assert -1.0 - 1e-9 <= low <= gap <= high <= 1.0 + 1e-9
    assert difference(both, second, first, neither) == pytest.approx((-gap, -high, -low))


def test_pairs_that_hang_together_tell_more_than_as_many_that_do_not() -> None:
    width = lambda *table: difference(*table)[2] - difference(*table)[1]  # noqa: E731
    assert width(20, 4, 0, 20) < width(12, 12, 8, 12)


def test_p_is_said_once_when_all_is_tried() -> None:
    trials = plan(2, 2, 0)
    outcomes = {trial.number: trial.policy == 0 for trial in trials}
    found = summary(trials, outcomes, ("new", "old"))
    assert found["p"] == 0.125 and (found["pairs"], found["first_only"], found["second_only"]) == (4, 4, 0)
    partly = summary(trials, {number: outcomes[number] for number in range(5)}, ("new", "old"))
    assert "p" not in partly and partly["pairs"] == 2, "half a pair says nothing of the difference"


def test_one_sided_pairs_are_judged_exactly() -> None:
    assert sign_test(0, 0) == 1.0 and sign_test(3, 3) == 1.0
    assert sign_test(8, 1) == pytest.approx(2 * (1 + 9) / 512)
    assert sign_test(1, 8) == sign_test(8, 1)
