"""Practice goes round, and nothing makes it skip, repeat or forget an episode."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ConfigError, TaskPair, Verdict
from armtune_policies.episode import events as e
from armtune_policies.episode.home import is_near
from armtune_policies.episode.machine import TRANSITIONS, PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    FINISHED,
    HOMING,
    IDLE,
    PAUSED,
    READY,
    RESTING,
    SUCCESS,
    TIMEOUT,
)

TASK = TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=4)
NO, YES, UNKNOWN = Verdict.NO, Verdict.YES, Verdict.UNKNOWN


def machine(**params: Any) -> PracticeMachine:
    made = PracticeMachine(EpisodeParams(vote_need=2, vote_window=2, **params), TASK, 0.0, "run", "c0ffee")
    made.handle(e.GateUp())
    return made


def act(one: PracticeMachine) -> None:
    """From homing to acting."""
    one.handle(e.AtHome())
    while one.state.phase != ACTING:
        one.handle(e.Elapsed())


def judge(one: PracticeMachine, *verdicts: Verdict) -> list[e.Command]:
    commands: list[e.Command] = []
    for verdict in verdicts:
        commands += one.handle(e.Judged(one.state.judged_step + 1, verdict))
    return commands


def started(**params: Any) -> PracticeMachine:
    one = machine(**params)
    one.handle(e.Begin())
    act(one)
    return one


def test_success_flips_the_direction_when_the_vote_is_complete() -> None:
    one = started()
    commands = judge(one, NO, YES, YES)
    assert (one.state.outcome, one.state.end_step, one.state.judged_step) == (SUCCESS, 2, 2)
    assert one.state.phase == HOMING and e.GoHome() in commands
    act(one)
    assert (one.state.direction, one.state.sentence) == ("backward", "close the drawer")
    assert (one.state.episode_id, one.state.outcome, one.state.judged_step) == ("run-00001", "", -1)


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


def test_direction_stays_when_the_episode_failed() -> None:
    one = started()
    judge(one, NO, NO, NO, NO)
    act(one)
    assert one.state.direction == "forward"


def test_direction_is_flipped_and_said_so_when_one_direction_failed_too_often() -> None:
    one = started(max_failures=2)
    for _ in range(2):
        judge(one, UNKNOWN, NO, NO, NO)
        act(one)
    assert one.state.direction == "backward"
    assert "flipped without a success" in one.state.reason


def test_reason_says_so_when_the_task_was_solved_at_the_start() -> None:
    one = started()
    judge(one, YES, YES)
    assert one.state.reason == "solved at the start"


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
    judge(one, YES, YES)
    commands = one.handle(e.AtHome())
    assert one.state.phase == FINISHED
    assert commands[-1] == e.Finish(False, "1 episodes done")
    assert (one.tally.episodes, one.tally.forward_successes, one.tally.steps) == (1, 1, 2)


def test_practice_ends_when_enough_steps_are_done() -> None:
    one = machine()
    one.handle(e.Begin(steps=4))
    act(one)
    judge(one, NO, NO, NO, NO)
    assert one.handle(e.AtHome())[-1] == e.Finish(False, "4 steps done")


def test_practice_waits_for_the_gate_when_it_is_not_armed() -> None:
    one = PracticeMachine(EpisodeParams(), TASK, 0.0, "run", "")
    one.handle(e.GateDown("not armed"))
    one.handle(e.Begin())
    assert one.state.phase == PAUSED and "not armed" in one.state.reason
    assert e.GoHome() in one.handle(e.GateUp())


def test_episode_is_aborted_when_the_gate_stops() -> None:
    one = started()
    judge(one, NO)
    commands = one.handle(e.GateDown("latch: e-stop"))
    assert (one.state.phase, one.state.outcome, one.state.end_step) == (PAUSED, ABORTED, 0)
    assert "e-stop" in one.state.reason and e.GoHome() not in commands
    one.handle(e.GateUp())
    assert one.state.phase == HOMING


def test_same_direction_is_tried_again_when_the_episode_was_aborted() -> None:
    one = started()
    one.handle(e.Lost("the policy let go"))
    assert (one.state.outcome, one.state.reason) == (ABORTED, "the policy let go")
    act(one)
    assert one.state.direction == "forward" and one.tally.episodes == 0


def test_practice_waits_for_a_person_when_episodes_keep_being_aborted() -> None:
    one = started(max_aborts=2)
    one.handle(e.Lost("x"))
    act(one)
    one.handle(e.Lost("x"))
    one.handle(e.AtHome())
    assert one.state.phase == PAUSED and "in a row" in one.state.reason
    assert one.handle(e.GateUp()) == ()
    one.handle(e.Resume())
    assert one.state.phase == HOMING


def test_reset_is_asked_for_when_it_is_due() -> None:
    one = started(reset_every_episodes=1)
    judge(one, YES, YES)
    one.handle(e.AtHome())
    assert one.state.phase == PAUSED and "reset" in one.state.reason
    one.handle(e.Resume())
    act(one)
    assert one.state.episode_id == "run-00001"


def test_practice_waits_for_a_person_when_home_is_not_reached() -> None:
    one = machine()
    one.handle(e.Begin())
    commands = one.handle(e.HomeFailed("home not reached in 30 s"))
    assert e.LetGo() in commands and one.state.phase == PAUSED


def test_arm_goes_home_and_then_practice_ends_when_it_is_cancelled_while_acting() -> None:
    one = started()
    judge(one, NO)
    one.handle(e.Cancel("asked"))
    assert (one.state.outcome, one.state.phase) == (ABORTED, HOMING)
    assert one.handle(e.AtHome())[-1] == e.Finish(True, "asked")


def test_practice_ends_where_it_is_when_cancelled_and_the_gate_stops() -> None:
    one = started()
    one.handle(e.Cancel("asked"))
    assert one.handle(e.GateDown("stopped"))[-1] == e.Finish(True, "asked")


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
    st.just(e.Lost("gone")),
    *[st.just(verdict) for verdict in (NO, YES, UNKNOWN, YES, NO)],
)


@given(st.lists(EVENTS, max_size=120))
def test_invariants_hold_when_anything_happens(happened: list[Any]) -> None:
    one = PracticeMachine(
        EpisodeParams(vote_need=2, vote_window=3, max_failures=2, max_aborts=2, reset_every_episodes=3),
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
                assert isinstance(command, e.GoHome) is not holds_arm, "takes and gives alternate"
                holds_arm = not holds_arm
        assert holds_arm == (now.phase == HOMING)
        assert now.index >= before.index and (
            now.episode_id == before.episode_id or now.index > before.index or not acted
        )
        assert (now.outcome == "") == (now.end_step == -1 and now.outcome == "")
        assert now.judged_step < TASK.episode_steps
        if now.outcome == SUCCESS:
            assert now.end_step == now.judged_step >= 1
        if now.outcome == TIMEOUT:
            assert now.end_step == TASK.episode_steps - 1
        if now.outcome:
            assert ended.setdefault(now.episode_id, (now.outcome, now.end_step)) == (now.outcome, now.end_step)
            assert now.phase in (HOMING, RESTING, PAUSED, FINISHED)
        if now.phase == ACTING and (not acted or acted[-1] != now.episode_id):
            assert now.episode_id not in acted and now.episode_id not in ended
            acted.append(now.episode_id)
        assert not (now.phase in (ACTING, READY, HOMING) and isinstance(event, e.GateDown)), "a stopped gate stops work"
        before = now
    assert one.state.phase in (IDLE, HOMING, READY, ACTING, RESTING, PAUSED, FINISHED)


@pytest.mark.parametrize("measured", [[0.0, float("nan")], [0.0], [0.0, 0.2], [0.0, float("inf")]])
def test_arm_is_not_at_home_when_a_joint_is_far_or_unknown(measured: list[float]) -> None:
    assert not is_near(measured, [0.0, 0.0], 0.1)
    assert is_near([0.0, 0.1], [0.0, 0.0], 0.1)
