"""In lockstep each offer comes into force two episodes after the one it learnt from, however slow anything is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_runtime.learner_process import Offer
from armtune_runtime.learning_pace import LearningPace


def offer(number: int) -> Offer:
    return Offer(f"v{number}", "/heads", "d", name(number))


def name(number: int) -> str:
    return f"run-{number:05d}"


@pytest.mark.fault("L6")
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3)), min_size=4, max_size=12))
def test_episode_begins_with_what_the_last_but_one_taught_whatever_is_slow(delays: list) -> None:
    """Delays: of paying, whether it taught anything, of the policy taking an offer; in turns of a loop."""
    pace, acted_with, active, waiting = LearningPace(True), [], "first", ""
    unpaid: list[list] = []
    takes: list[list] = []
    for number, (slow, teaches, taking) in enumerate(delays):
        turns = 0
        while number and pace.owes:
            turns += 1
            assert turns < 50, "it waits for ever"
            active, waiting = turn(pace, unpaid, takes, active, waiting, delays)
        active, waiting = waiting or active, ""
        acted_with.append(active)
        pace.acts(name(number))
        pace.policy(active, waiting, "")
        for _ in range(taking):
            active, waiting = turn(pace, unpaid, takes, active, waiting, delays)
        pace.ended(name(number))
        unpaid.append([slow, number, teaches])
    taught = [number for number, (_, teaches, _) in enumerate(delays) if teaches]
    for number, version in enumerate(acted_with):
        known = [t for t in taught if t <= number - 2]
        assert version == (f"v{known[-1]}" if known else "first")


def turn(pace: LearningPace, unpaid: list, takes: list, active: str, waiting: str, delays: list) -> tuple[str, str]:
    for job in takes:
        job[0] -= 1
    while takes and takes[0][0] < 0:
        waiting = takes.pop(0)[1]
        pace.policy(active, waiting, "")
    if unpaid:
        unpaid[0][0] -= 1
        if unpaid[0][0] < 0:
            _, number, teaches = unpaid.pop(0)
            pace.paid([name(number)], [offer(number)] if teaches else [])
    takes += [[delays[int(one.version[1:])][2], one.version] for one in pace.due()]
    return active, waiting


def test_refused_offer_holds_nothing_up() -> None:
    pace = LearningPace(True)
    pace.ended(name(0))
    pace.acts(name(1))
    pace.paid([name(0)], [offer(0)])
    assert [one.version for one in pace.due()] == ["v0"] and pace.due() == []
    pace.ended(name(1))
    assert pace.owes
    pace.policy("first", "", "v0")
    assert not pace.owes


@pytest.mark.fault("F29")
def test_learner_that_comes_back_late_offers_what_is_overdue_though_nothing_acts_by_the_last_one() -> None:
    """It starts again after two more episodes: the head of before, then that of the first of them."""
    pace = LearningPace(True)
    for number in (1, 2):
        pace.acts(name(number))
        pace.ended(name(number))
    assert pace.owes
    pace.paid([], [offer(0)])
    assert [one.version for one in pace.due()] == ["v0"]
    pace.policy("first", "v0", "")
    pace.paid([name(1), name(2)], [offer(1), offer(2)])
    assert [one.version for one in pace.due()] == ["v1"] and pace.owes
    pace.policy("first", "v1", "")
    assert pace.due() == [] and not pace.owes, "the last one's is for the episode after the next"
    pace.acts(name(3))
    pace.policy("v1", "", "")
    assert [one.version for one in pace.due()] == ["v2"]


def test_in_real_time_an_offer_goes_out_at_once_and_nobody_waits() -> None:
    pace = LearningPace(False)
    pace.ended(name(0))
    pace.ended(name(1))
    assert not pace.owes
    pace.paid([name(0)], [offer(0)])
    assert [one.version for one in pace.due()] == ["v0"]
