"""A person begins, shows and ends episodes; and ends those of a policy, too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Mode, TaskPair, Verdict
from armtune_policies.contract.topics import KEYS
from armtune_policies.episode import events as e
from armtune_policies.episode.conductor import Conductor
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    DEMONSTRATION,
    DISCARDED,
    HOMING,
    PAUSED,
    PRACTICE,
    READY,
    RESTING,
    SAID_FAILURE,
    SAID_SUCCESS,
    SHOWING,
    SUCCESS,
    TIMEOUT,
    WORDS,
)

TASK = TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=4)
S = 1_000_000_000


def begun(shown: bool = True, **params: Any) -> PracticeMachine:
    one = PracticeMachine(EpisodeParams(**params), TASK, 0.0, "run", "c0ffee")
    one.handle(e.GateUp())
    one.handle(e.Begin(purpose=DEMONSTRATION if shown else PRACTICE))
    one.handle(e.AtHome())
    return one


def showing(**params: Any) -> PracticeMachine:
    one = begun(countdown=0, **params)
    one.handle(e.Told("start"))
    assert one.state.phase == SHOWING
    return one


def home(one: PracticeMachine) -> None:
    """From homing to ready."""
    one.handle(e.AtHome())
    if one.state.phase == RESTING:
        one.handle(e.Elapsed())


def test_episode_waits_for_the_operators_start_and_counts_down() -> None:
    one = begun(countdown=2)
    assert one.state.phase == READY
    said = []
    commands = one.handle(e.Told("start"))
    while one.state.phase == READY:
        said.append(one.state.reason)
        assert any(isinstance(c, e.Wait) and c.seconds == 1.0 for c in commands)
        commands = one.handle(e.Elapsed())
    assert said == ["starts in 2", "starts in 1"] and one.state.phase == SHOWING and one.state.reason == ""
    assert one.handle(e.Told("start")) == (), "it is on already"


@pytest.mark.parametrize(
    ("key", "outcome", "mark", "way"),
    (
        ("success", SUCCESS, SAID_SUCCESS, "backward"),
        ("failure", TIMEOUT, SAID_FAILURE, "forward"),
        ("discard", ABORTED, DISCARDED, "forward"),
        ("again", ABORTED, DISCARDED, "forward"),
    ),
)
def test_operators_word_ends_the_episode_and_chooses_the_next_direction(
    key: str, outcome: str, mark: str, way: str
) -> None:
    one = showing()
    one.handle(e.Told(key, 7))
    assert (one.state.outcome, one.state.mark, one.state.end_step) == (outcome, mark, 7)
    assert one.state.reason == WORDS[mark]
    home(one)
    assert (one.state.phase, one.state.direction) == (READY, way)


def test_rewards_answers_are_noted_and_decide_nothing_while_a_person_shows() -> None:
    one = showing()
    for step in range(20):
        one.handle(e.Judged(step, Verdict.YES))
    assert one.state.phase == SHOWING and one.state.judged_step == 19


def test_longest_demonstration_ends_by_itself() -> None:
    one = showing(shown_steps=3)
    for step in range(3):
        one.handle(e.Judged(step, Verdict.UNKNOWN))
    assert (one.state.outcome, one.state.phase) == (TIMEOUT, HOMING)


def test_success_of_no_step_is_none() -> None:
    one = showing()
    one.handle(e.Told("success", -1))
    assert one.state.outcome == ABORTED and "no step at all" in one.state.reason


def test_operator_ends_the_episode_of_a_policy_that_is_corrected() -> None:
    one = begun(shown=False)
    one.handle(e.Elapsed())
    assert one.state.phase == ACTING
    one.handle(e.Judged(0, Verdict.NO))
    one.handle(e.Told("success", 2))
    assert (one.state.outcome, one.state.end_step) == (SUCCESS, 2)


def test_last_episode_is_recorded_again_in_its_direction_and_counts_no_more() -> None:
    one = showing()
    one.handle(e.Told("success", 5))
    home(one)
    assert one.state.direction == "backward" and one.tally.forward_successes == 1
    index = one.state.index
    one.handle(e.Told("again"))
    assert (one.state.phase, one.state.direction, one.state.sets_aside) == (READY, "forward", "run-00000")
    assert one.state.index == index and one.tally.forward_successes == 0
    assert one.handle(e.Told("again")) == (), "there is none before it"


def test_last_episode_is_recorded_again_when_told_on_the_way_home() -> None:
    one = showing()
    one.handle(e.Told("failure", 5))
    one.handle(e.Told("again"))
    assert one.state.sets_aside == "run-00000" and one.state.phase == HOMING
    home(one)
    assert one.state.direction == "forward"


def test_last_episode_is_named_though_another_was_announced_and_never_begun() -> None:
    one = showing()
    one.handle(e.Told("success", 5))
    home(one)
    one.handle(e.GateDown("e-stop pressed"))
    one.handle(e.GateUp())
    home(one)
    assert one.state.episode_id == "run-00002"
    one.handle(e.Told("again"))
    assert one.state.sets_aside == "run-00000"


def test_countdown_that_was_taken_back_by_again_starts_nothing() -> None:
    one = showing(nudge=0)
    one.handle(e.Told("success", 5))
    home(one)
    one._params = EpisodeParams(countdown=3)
    one.handle(e.Told("start"))
    assert one.state.reason == "starts in 3"
    one.handle(e.Told("again"))
    assert one.handle(e.Elapsed()) == () and one.state.phase == READY
    one.handle(e.Told("start"))
    assert one.state.reason == "starts in 3"


def test_discarded_episodes_do_not_pause_a_session() -> None:
    one = showing(max_aborts=2)
    for _ in range(5):
        one.handle(e.Told("discard", 3))
        home(one)
        assert one.state.phase == READY
        one.handle(e.Told("start"))


def test_gate_that_stops_ends_what_is_shown_and_start_goes_on_after_it() -> None:
    one = showing()
    one.handle(e.GateDown("e-stop pressed"))
    assert one.state.outcome == ABORTED and one.state.phase == PAUSED
    one.handle(e.GateUp())
    home(one)
    assert one.state.phase == READY


@given(st.lists(st.sampled_from([*KEYS, "home", "elapsed", "judged", "down", "up"]), max_size=60))
def test_no_order_of_words_skips_or_repeats_an_episode(words: list[str]) -> None:
    one, seen = begun(countdown=1), ["run-00000"]
    for step, word in enumerate(words):
        event = {"home": e.AtHome(), "elapsed": e.Elapsed(), "judged": e.Judged(one.state.judged_step + 1, Verdict.NO),
                 "down": e.GateDown("x"), "up": e.GateUp()}.get(word, e.Told(word, step))  # fmt: skip
        before = one.state
        one.handle(event)
        if before.outcome and not one.state.outcome:
            assert one.state.episode_id not in seen
            seen.append(one.state.episode_id)
        if one.state.phase == SHOWING:
            assert not one.state.outcome
    assert seen == sorted(seen)


def test_end_is_the_newest_step_that_is_whole() -> None:
    params = EpisodeParams(countdown=0)
    one = Conductor(params, PracticeMachine(params, TASK, 0.0, "run", "c0ffee"))
    one.gate(True, Mode.RUN, "", "", 0)
    one.handle(e.Begin(purpose=DEMONSTRATION), 0)
    one.handle(e.AtHome(), 0)
    one.told("start", 0)
    for step in range(4):
        one.ticked("run-00000", step, S + step * S // 5)
    one.told("success", S + 3 * S // 5 + S // 100)
    assert one.state.end_step == 2, "step 3 is still open"
