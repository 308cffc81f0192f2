"""Episodes of evaluation: the policy acts to the end, and practice counts, learns and remembers nothing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import TaskPair, Verdict
from armtune_policies.episode import events as e
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import ABORTED, ACTING, EVALUATION, FINISHED, SAID_SUCCESS, SUCCESS, TIMEOUT

TASK = TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=4)


def machine(**params: Any) -> PracticeMachine:
    settings = EpisodeParams(**{"vote_need": 2, "vote_window": 2, **params})
    made = PracticeMachine(settings, TASK, 0.0, "run", "c0ffee", first_index=7, learns=True, first_evaluation=2)
    made.handle(e.GateUp())
    return made


def act(one: PracticeMachine, begin: e.Begin) -> None:
    one.handle(begin)
    for event in (e.AtHome(), e.Elapsed(), e.Elapsed()):
        if one.state.phase != ACTING:
            one.handle(event)
    assert one.state.phase == ACTING, one.state


def judge(one: PracticeMachine, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        one.handle(e.Judged(one.state.judged_step + 1, verdict))


def evaluated(way: str = "backward") -> e.Begin:
    return e.Begin(episodes=1, purpose=EVALUATION, direction=way)


def test_it_acts_until_time_is_up_whatever_the_judge_says_in_the_direction_asked_for() -> None:
    one = machine()
    act(one, evaluated())
    assert (one.state.episode_id, one.state.direction, one.state.purpose) == ("run-eval-00002", "backward", EVALUATION)
    judge(one, Verdict.NO, Verdict.YES, Verdict.YES)
    assert one.state.phase == ACTING
    judge(one, Verdict.YES)
    assert (one.state.outcome, one.state.end_step, one.tally.backward_episodes) == (TIMEOUT, 3, 1)
    one.handle(e.AtHome())
    assert one.state.phase == FINISHED


def test_whoever_evaluates_ends_it_by_their_word() -> None:
    one = machine()
    act(one, evaluated())
    judge(one, Verdict.NO)
    one.handle(e.Told("success", 1))
    assert (one.state.outcome, one.state.mark, one.tally.backward_successes) == (SUCCESS, SAID_SUCCESS, 1)
    assert one.handle(e.Told("again")) == (), "an episode of evaluation is not recorded again"


def test_episode_that_was_aborted_ends_what_was_asked_for_and_is_not_tried_again_by_itself() -> None:
    one = machine()
    act(one, evaluated())
    one.handle(e.Lost("the policy lost the arm"))
    one.handle(e.AtHome())
    assert one.state.phase == FINISHED and "aborted" in one.state.reason
    act(one, evaluated())
    assert one.state.episode_id == "run-eval-00003"


def test_arm_that_was_held_says_nothing_of_the_policy() -> None:
    one = machine()
    act(one, evaluated())
    for step in range(4):
        one.handle(e.Judged(step, Verdict.NO, held=True))
    assert one.state.outcome == ABORTED


@given(st.lists(st.tuples(st.sampled_from(["forward", "backward"]), st.booleans()), max_size=4), st.booleans())
def test_practice_goes_on_as_if_there_had_been_no_evaluation(trials: list[tuple[str, bool]], practised: bool) -> None:
    one = machine()
    if practised:
        act(one, e.Begin(episodes=1))
        judge(one, Verdict.NO, Verdict.NO, Verdict.NO, Verdict.NO)
        one.handle(e.AtHome())
    before = replace(one.counts)
    for way, is_done in trials:
        act(one, evaluated(way))
        judge(one, Verdict.NO, Verdict.YES)
        one.handle(e.Told("success" if is_done else "failure", 1))
        one.handle(e.AtHome())
        assert one.state.phase == FINISHED
    assert one.counts == before
    one.handle(e.Learnt("run-00007" if practised else "", 0))
    act(one, e.Begin())
    assert one.state.episode_id == f"run-0000{8 if practised else 7}" and one.state.direction == before.direction


@pytest.mark.parametrize("owed", (0, 5))
def test_evaluation_does_not_wait_for_the_learner_and_practice_after_it_does(owed: int) -> None:
    one = machine()
    act(one, e.Begin(episodes=1))
    judge(one, Verdict.NO, Verdict.NO, Verdict.NO, Verdict.NO)
    one.handle(e.AtHome())
    act(one, evaluated())
    one.handle(e.Told("failure", 1))
    one.handle(e.AtHome())
    one.handle(e.Begin())
    for event in (e.AtHome(), e.Elapsed(), e.Learnt("run-00007", owed), e.Elapsed()):
        one.handle(event)
    assert (one.state.phase == ACTING) == (owed == 0)
