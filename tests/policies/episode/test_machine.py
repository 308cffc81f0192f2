"""Practice goes round, and nothing makes it skip, repeat or forget an episode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ConfigError, Verdict
from armtune_policies.episode import events as e
from armtune_policies.episode.home import is_near
from armtune_policies.episode.machine import SILENT_S, TRANSITIONS, PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    FINISHED,
    HOMING,
    IDLE,
    NUDGING,
    PAUSED,
    READY,
    RESTING,
    SOLVED,
    SUCCESS,
    TIMEOUT,
)
from fixtures.practice import NO, TASK, UNKNOWN, YES, act, judge, machine, started


@pytest.mark.fault("L10")
def test_success_flips_the_direction_when_the_vote_is_complete() -> None:
    one = started()
    commands = judge(one, NO, YES, YES)
    assert (one.state.outcome, one.state.end_step, one.state.judged_step) == (SUCCESS, 2, 2)
    assert one.state.phase == HOMING and e.GoHome() in commands
    act(one)
    assert (one.state.direction, one.state.sentence) == ("backward", "close the drawer")
    assert (one.state.episode_id, one.state.outcome, one.state.judged_step) == ("run-00001", "", -1)


@pytest.mark.fault("F48")
@pytest.mark.parametrize(
    "answers, mark",
    [
        ((UNKNOWN, UNKNOWN, YES, YES), SOLVED),
        ((YES, UNKNOWN, YES), SOLVED),
        ((NO, UNKNOWN, UNKNOWN, YES, YES), SOLVED),
        ((NO, UNKNOWN, NO, YES, YES), ""),
    ],
)
def test_success_counts_only_once_it_was_known_not_to_stand_already(answers: tuple[Verdict, ...], mark: str) -> None:
    settings = EpisodeParams(vote_need=2, vote_window=3)
    one = PracticeMachine(settings, replace(TASK, episode_steps=9), 0.0, "run", "c0ffee")
    one.handle(e.GateUp())
    one.handle(e.Begin())
    act(one)
    judge(one, *answers)
    assert (one.state.outcome, one.state.mark) == (ABORTED if mark else SUCCESS, mark)


def test_episode_is_truncated_when_the_last_step_was_judged() -> None:
    one = started()
    judge(one, NO, NO, NO)
    assert one.state.phase == ACTING and one.state.outcome == ""
    judge(one, NO)
    assert (one.state.outcome, one.state.end_step) == (TIMEOUT, 3)


def test_last_step_is_a_success_when_its_answer_completes_the_vote() -> None:
    one = started()
    judge(one, NO, NO, YES, YES)
    assert (one.state.outcome, one.state.end_step) == (SUCCESS, 3)


@pytest.mark.fault("L10")
def test_direction_stays_when_the_episode_failed() -> None:
    one = started()
    judge(one, NO, NO, NO, NO)
    act(one)
    assert one.state.direction == "forward"


@pytest.mark.fault("F52")
def test_direction_is_flipped_and_said_so_when_one_direction_failed_too_often() -> None:
    one = started(max_failures=2)
    for _ in range(2):
        judge(one, UNKNOWN, NO, NO, NO)
        act(one)
    assert one.state.direction == "backward"
    assert "flipped without a success" in one.state.reason


def test_each_try_is_told_with_how_many_failed_since_the_last_success() -> None:
    one, told = started(), []
    for answers in ((NO, NO, NO, NO), (NO, NO, NO, NO), (NO, YES, YES), (NO, NO, NO, NO)):
        told.append(one.state.since_success)
        judge(one, *answers)
        act(one)
    assert [*told, one.state.since_success] == [0, 1, 2, 0, 1]


def test_a_success_that_stood_at_the_start_is_passed_over_uncounted_and_the_other_direction_is_tried() -> None:
    one = started()
    judge(one, YES, YES)
    assert (one.state.outcome, one.state.mark, one.state.end_step) == (ABORTED, SOLVED, 1)
    assert (one.tally.episodes, one.tally.forward_successes, one.counts.solved_starts) == (0, 0, 1)
    act(one)
    assert one.state.direction == "backward"


@pytest.mark.fault("F52")
def test_episode_in_which_nothing_moves_has_failed_early() -> None:
    one = started()
    judge(one, NO)
    one.handle(e.Judged(1, NO, still=True))
    assert (one.state.outcome, one.state.end_step) == (TIMEOUT, 1) and "nothing moved" in one.state.reason
    assert (one.counts.stalls, one.tally.episodes) == (1, 1)


def test_each_retry_after_a_failure_begins_with_a_nudge_and_one_only() -> None:
    one = started()
    judge(one, NO, NO, NO, NO)
    commands = one.handle(e.AtHome())
    assert one.state.phase == NUDGING and e.Nudge("forward", 1) in commands and e.LetGo() not in commands
    one.handle(e.Nudged())
    assert one.state.phase == HOMING
    one.handle(e.AtHome())
    assert one.state.phase == RESTING and one.counts.nudges == 1
    one.handle(e.Elapsed())
    one.handle(e.Elapsed())
    judge(one, NO, YES, YES)
    one.handle(e.AtHome())
    assert one.state.phase == RESTING


def test_what_a_success_put_down_is_pushed_about_before_the_direction_that_is_to_begin_anywhere() -> None:
    one = PracticeMachine(EpisodeParams(vote_window=2), replace(TASK, scatter="forward"), 0.0, "run", "c0ffee")
    one.handle(e.GateUp())
    one.handle(e.Begin())
    act(one)
    judge(one, NO, YES, YES)
    act(one)
    assert (one.state.phase, one.state.direction) == (ACTING, "backward")
    judge(one, NO, YES, YES)
    assert one.state.outcome == SUCCESS
    commands = one.handle(e.AtHome())
    assert one.state.phase == NUDGING and e.Nudge("backward", 1, "scatter") in commands, one.state.reason
    assert one.state.reason == "scatter after a success"
    one.handle(e.Nudged())
    act(one)
    assert (one.state.phase, one.state.direction, one.counts.scatters) == (ACTING, "forward", 1)


def test_nudge_that_nobody_knew_how_to_make_is_not_counted() -> None:
    one = started()
    judge(one, NO, NO, NO, NO)
    one.handle(e.AtHome())
    one.handle(e.Nudged(made=False))
    one.handle(e.AtHome())
    assert one.state.phase == RESTING and one.counts.nudges == 0


def test_next_episode_waits_for_the_learner_and_practice_for_a_person_when_it_has_given_up() -> None:
    one = machine(learns=True)
    one.handle(e.Begin())
    act(one)
    judge(one, NO, YES, YES)
    one.handle(e.AtHome())
    one.handle(e.Elapsed())
    assert one.state.phase == RESTING
    one.handle(e.Learnt("run-00000", 7))
    one.handle(e.Learnt("run-99999", 0))
    assert one.state.phase == RESTING, "it owes updates, or has not heard of the episode yet"
    one.handle(e.Learnt("run-00000", 0))
    assert one.state.phase == READY
    one.handle(e.Elapsed())
    judge(one, NO, YES, YES)
    one.handle(e.Learnt("run-00001", 3, given_up=True))
    one.handle(e.AtHome())
    one.handle(e.Elapsed())
    assert one.state.phase == PAUSED and "given up" in one.state.reason


@pytest.mark.fault("F30")
def test_learner_that_owes_and_is_silent_is_not_waited_for_without_a_person() -> None:
    one = machine(learns=True)
    one.handle(e.Begin())
    act(one)
    for _ in range(2):  # and again after a person resumed
        if one.state.phase == ACTING:
            judge(one, NO, YES, YES)
        one.handle(e.AtHome())
        assert one.handle(e.Elapsed()) == (e.Wait(SILENT_S),) and one.state.phase == RESTING
        assert one.handle(e.Learnt("run-00000", 7)) == (e.Wait(SILENT_S),), "it is alive"
        one.handle(e.Elapsed())
        assert one.state.phase == PAUSED and "owes 7 updates" in one.state.reason
        one.handle(e.Resume())
    one.handle(e.AtHome())
    one.handle(e.Learnt("run-00000", 0))
    assert one.state.phase == RESTING, "it rests anew"
    one.handle(e.Elapsed())
    assert one.state.phase == READY


def test_counts_go_on_when_a_run_is_resumed() -> None:
    one = started()
    judge(one, NO, YES, YES)
    again = PracticeMachine(EpisodeParams(), TASK, 0.0, "run", "", 1, counts=replace(one.counts))
    assert (again.counts.episodes, again.counts.steps, again.counts.direction) == (1, 3, "backward")


@pytest.mark.fault("L2")
def test_unknown_never_completes_the_vote_when_answers_are_missing() -> None:
    one = started()
    judge(one, YES, UNKNOWN, YES, UNKNOWN)
    assert one.state.outcome == TIMEOUT


def test_answer_is_ignored_when_its_step_is_not_next() -> None:
    one = started()
    assert one.handle(e.Judged(1, YES)) == ()
    assert one.state.judged_step == -1


def test_every_judged_step_is_announced_when_acting() -> None:
    one = started()
    (announced,) = judge(one, NO)
    assert isinstance(announced, e.Announce) and announced.state.judged_step == 0


def test_practice_ends_at_home_when_enough_episodes_are_done() -> None:
    one = machine()
    one.handle(e.Begin(episodes=1))
    act(one)
    judge(one, NO, YES, YES)
    commands = one.handle(e.AtHome())
    assert one.state.phase == FINISHED
    assert commands[-1] == e.Finish(False, "1 episodes done")
    assert (one.tally.episodes, one.tally.forward_successes, one.tally.steps) == (1, 1, 3)


def test_practice_ends_when_enough_steps_are_done() -> None:
    one = machine()
    one.handle(e.Begin(steps=4))
    act(one)
    judge(one, NO, NO, NO, NO)
    assert one.handle(e.AtHome())[-1] == e.Finish(False, "4 steps done")


def test_same_direction_is_tried_again_when_the_episode_was_aborted() -> None:
    one = started()
    one.handle(e.Lost("the policy let go"))
    assert (one.state.outcome, one.state.reason) == (ABORTED, "the policy let go")
    act(one)
    assert one.state.direction == "forward" and one.tally.episodes == 0


def test_arm_goes_home_and_then_practice_ends_when_it_is_cancelled_while_acting() -> None:
    one = started()
    judge(one, NO)
    one.handle(e.Cancel("asked"))
    assert (one.state.outcome, one.state.phase) == (ABORTED, HOMING)
    assert one.handle(e.AtHome())[-1] == e.Finish(True, "asked")


def test_index_goes_on_when_a_run_is_resumed() -> None:
    one = PracticeMachine(EpisodeParams(), TASK, 0.0, "run", "", first_index=7)
    one.handle(e.GateUp())
    one.handle(e.Begin())
    act(one)
    assert one.state.episode_id == "run-00007"


def test_settings_are_refused_when_the_vote_can_never_complete() -> None:
    with pytest.raises(ConfigError, match="vote_need"):
        EpisodeParams(vote_need=4, vote_window=3)


EVENTS = st.one_of(
    st.builds(e.Begin, st.integers(0, 3), st.integers(0, 9)),
    st.just(e.Cancel("asked")),
    st.just(e.Resume()),
    st.just(e.GateUp()),
    st.just(e.GateDown("stopped")),
    *[st.just(event) for event in (e.AtHome(), e.AtHome(), e.Elapsed(), e.Elapsed())],
    st.just(e.HomeFailed("no way")),
    st.builds(e.Nudged, st.booleans()),
    st.just(e.Judged(2, NO, still=True)),
    st.just(e.Lost("gone")),
    *[st.just(verdict) for verdict in (NO, YES, UNKNOWN, YES, NO)],
)


@pytest.mark.fault("L10")
@given(st.lists(EVENTS, max_size=120))
def test_invariants_hold_when_anything_happens(happened: list[Any]) -> None:
    one = PracticeMachine(
        EpisodeParams(vote_need=2, vote_window=3, max_failures=2, max_aborts=2, stuck=3, reset_every_episodes=3),
        TASK, 0.0, "run", "",
    )  # fmt: skip
    before, holds_arm, ended, acted = one.state, False, {}, []
    for event in happened:
        if isinstance(event, Verdict):
            event = e.Judged(one.state.judged_step + 1, event)
        known = (one.state.phase, type(event)) in TRANSITIONS
        commands = one.handle(event)
        now = one.state
        assert known or (not commands and now == before)
        assert (now != before) <= any(isinstance(c, e.Announce) and c.state == now for c in commands)
        for command in commands:
            if isinstance(command, (e.GoHome, e.LetGo)):
                assert holds_arm or isinstance(command, e.GoHome), "nothing is given back that was not taken"
                holds_arm = isinstance(command, e.GoHome)
        assert holds_arm == (now.phase in (HOMING, NUDGING))
        assert now.index >= before.index and (
            now.episode_id == before.episode_id or now.index > before.index or not acted
        )
        assert (now.outcome == "") == (now.end_step == -1 and now.outcome == "")
        assert now.judged_step < TASK.episode_steps
        if now.outcome == SUCCESS:
            assert now.end_step == now.judged_step >= 3
        if now.outcome == TIMEOUT:
            assert now.end_step == TASK.episode_steps - 1 or "nothing moved" in now.reason or now.phase != HOMING
        if now.outcome:
            assert ended.setdefault(now.episode_id, (now.outcome, now.end_step)) == (now.outcome, now.end_step)
            assert now.phase in (HOMING, NUDGING, RESTING, PAUSED, FINISHED)
        if now.phase == ACTING and (not acted or acted[-1] != now.episode_id):
            assert now.episode_id not in acted and now.episode_id not in ended
            acted.append(now.episode_id)
        assert not (now.phase in (ACTING, READY, HOMING, NUDGING) and isinstance(event, e.GateDown)), (
            "a stopped gate stops work"
        )
        before = now
        assert one.counts.since_success <= 3 + 3, "nothing is tried for ever without a person"
    assert one.state.phase in (IDLE, HOMING, NUDGING, READY, ACTING, RESTING, PAUSED, FINISHED)


@pytest.mark.parametrize("measured", [[0.0, float("nan")], [0.0], [0.0, 0.2], [0.0, float("inf")]])
def test_arm_is_not_at_home_when_a_joint_is_far_or_unknown(measured: list[float]) -> None:
    assert not is_near(measured, [0.0, 0.0], 0.1)
    assert is_near([0.0, 0.1], [0.0, 0.0], 0.1)
