"""Practice waits: for the gate, for the scene, for a person, and goes on where it was."""

from __future__ import annotations

import pytest

from armtune_policies.episode import events as e
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    FINISHED,
    HOMING,
    NUDGING,
    PAUSED,
    READY,
    RESTING,
    SCENE,
    SUCCESS,
)
from fixtures.practice import NO, TASK, YES, act, judge, machine, started


@pytest.mark.fault("F48")
def test_practice_asks_a_person_when_both_directions_are_said_to_be_solved() -> None:
    one = started(max_aborts=1)
    judge(one, YES, YES)
    act(one)
    judge(one, YES, YES)
    one.handle(e.AtHome())
    assert one.state.phase == PAUSED and "both directions are solved" in one.state.reason
    one.handle(e.Resume())
    act(one)
    assert one.counts.rescues == 1 and one.state.direction == "forward"


@pytest.mark.fault("F52")
def test_practice_that_is_stuck_tries_harder_then_asks_and_goes_on_when_a_person_has_helped() -> None:
    one = started(max_failures=2, stuck=3, recoveries=2)
    done = []
    while one.state.phase != PAUSED:
        judge(one, NO, NO, NO, NO)
        commands = one.handle(e.AtHome())
        done += [c.move == "recover" for c in commands if isinstance(c, e.Nudge)]
        if one.state.phase == NUDGING:
            one.handle(e.Nudged())
            act(one)
    assert done == [False, False, True, True]
    assert "stuck: 5 failures in a row, in both directions" in one.state.reason
    assert one.handle(e.GateUp()) == ()
    one.handle(e.Resume())
    act(one)
    assert (one.counts.rescues, one.counts.resets, one.counts.nudges, one.counts.recoveries) == (1, 1, 2, 2)
    judge(one, NO, NO, NO, NO)
    one.handle(e.AtHome())
    assert one.state.phase == NUDGING


def test_nudge_that_the_gate_stopped_is_not_made_again() -> None:
    """It would press against the same thing, and be stopped, for as long as somebody arms the gate again."""
    one = started(nudge=1)
    judge(one, NO, NO, NO, NO)
    one.handle(e.AtHome())
    assert one.state.phase == NUDGING
    one.handle(e.GateDown("joint states frozen"))
    assert one.state.phase == PAUSED and one.counts.nudges == 1
    assert e.GoHome() in one.handle(e.GateUp())
    one.handle(e.AtHome())
    assert one.state.phase == RESTING and one.counts.nudges == 1, "it is tried as it is"
    act(one)
    judge(one, NO, NO, NO, NO)
    assert e.Nudge("forward", 2) in one.handle(e.AtHome()), "and the next one is another"


@pytest.mark.fault("L11")
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


@pytest.mark.fault("L11")
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
    judge(one, NO, YES, YES)
    one.handle(e.AtHome())
    assert one.state.phase == PAUSED and "reset" in one.state.reason
    one.handle(e.Resume())
    act(one)
    assert one.state.episode_id == "run-00001"


@pytest.mark.fault("L11")
def test_practice_waits_for_a_person_when_home_is_not_reached() -> None:
    one = machine()
    one.handle(e.Begin())
    commands = one.handle(e.HomeFailed("home not reached in 30 s"))
    assert e.LetGo() in commands and one.state.phase == PAUSED


def test_practice_ends_where_it_is_when_cancelled_and_the_gate_stops() -> None:
    one = started()
    one.handle(e.Cancel("asked"))
    assert one.handle(e.GateDown("stopped"))[-1] == e.Finish(True, "asked")


def test_break_waits_for_the_episode_and_the_way_home_and_ends_only_by_a_person() -> None:
    one = started()
    assert one.handle(e.Pause()) and one.state.phase == ACTING
    judge(one, NO, YES, YES)
    assert one.state.outcome == SUCCESS and one.state.phase == HOMING
    one.handle(e.AtHome())
    assert (one.state.phase, one.state.reason) == (PAUSED, "paused by the operator; resume to go on")
    one.handle(e.GateUp())
    assert one.state.phase == PAUSED
    one.handle(e.Resume())
    act(one)
    assert one.state.direction == "backward"


@pytest.mark.parametrize("phase", [READY, RESTING])
def test_break_between_episodes_comes_at_once(phase: str) -> None:
    one = started(nudge=0)
    judge(one, NO, NO, NO, NO)
    one.handle(e.AtHome())
    while one.state.phase != phase:
        one.handle(e.Elapsed())
    assert one.handle(e.Pause()) and one.state.phase == PAUSED


def test_scene_is_laid_anew_when_a_person_asks_for_it_and_counts_once_it_is() -> None:
    one = started(nudge=1)
    assert one.handle(e.Reset()) and one.state.phase == ACTING
    judge(one, NO, NO, NO, NO)
    one.handle(e.AtHome())
    assert (one.state.phase, one.state.reason) == (PAUSED, "reset the scene, then resume: the operator asked for it")
    assert one.counts.resets == 0 and not one.handle(e.Reset()), "it waits for that already"
    one.handle(e.Resume())
    one.handle(e.AtHome())
    assert one.counts.resets == 1 and one.state.phase == RESTING, "a scene just laid needs no nudge"


def test_reset_that_waits_is_not_lost_by_a_pause_and_a_pause_becomes_one() -> None:
    for wishes in ((e.Reset(), e.Pause()), (e.Pause(), e.Reset())):
        one = started()
        assert all(one.handle(wish) for wish in wishes)
        judge(one, NO, YES, YES)
        one.handle(e.AtHome())
        assert one.state.waits_for == SCENE and "reset the scene" in one.state.reason


def test_pause_in_which_the_scene_was_laid_anew_counts_as_one_and_does_not_end_by_the_gate() -> None:
    one = started()
    one.handle(e.GateDown("stopped"))
    assert one.state.phase == PAUSED and one.handle(e.Reset())
    assert not one.handle(e.GateUp()) and one.state.phase == PAUSED
    one.handle(e.Resume())
    assert one.state.phase == HOMING and one.counts.resets == 1


def test_pause_while_the_gate_is_stopped_does_not_end_by_the_gate() -> None:
    one = started()
    one.handle(e.GateDown("e-stop pressed"))
    assert one.handle(e.Pause()) and not one.handle(e.GateUp()) and one.state.phase == PAUSED
    assert not one.handle(e.Pause()), "it is one already"
    one.handle(e.Resume())
    assert one.state.phase == HOMING


def test_break_that_was_not_taken_is_forgotten_by_the_next_practice() -> None:
    one = started()
    one.handle(e.Pause())
    one.handle(e.Cancel("enough"))
    one.handle(e.AtHome())
    assert one.state.phase == FINISHED and not one.handle(e.Pause())
    one.handle(e.Begin())
    act(one)
    assert one.state.phase == ACTING


@pytest.mark.fault("F33", "F39", "L11")
def test_no_episode_begins_while_the_machine_is_not_fit_and_the_one_that_is_on_goes_on() -> None:
    one = started()
    one.handle(e.Fit("disk: 3 MB free"))
    judge(one, NO)
    assert one.state.phase == ACTING
    judge(one, YES, YES)
    one.handle(e.AtHome())
    one.handle(e.Elapsed())
    assert (one.state.phase, one.state.reason) == (PAUSED, "mend, then resume: disk: 3 MB free")
    one.handle(e.GateUp())
    one.handle(e.Fit())
    assert one.state.phase == PAUSED  # a person says when
    one.handle(e.Resume())
    act(one)
    assert one.state.episode_id == "run-00001"


@pytest.mark.fault("F48", "L11")
def test_practice_waits_for_a_look_when_it_succeeds_without_moving() -> None:
    one = started(doubt=2)
    for _ in range(2):
        for verdict in (NO, YES, YES):
            one.handle(e.Judged(one.state.judged_step + 1, verdict, moved=False))
        one.handle(e.AtHome())
        if one.state.phase != PAUSED:
            one.handle(e.Elapsed())
            one.handle(e.Elapsed())
    assert one.state.phase == PAUSED and "2 successes in a row without motion" in one.state.reason
    one.handle(e.GateUp())
    assert one.state.phase == PAUSED
    one.handle(e.Resume())
    act(one)
    assert one.state.episode_id == "run-00002"
