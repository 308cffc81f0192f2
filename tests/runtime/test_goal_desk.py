"""One goal at a time: which may come, which takes over, and who is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from armtune_policies.contract import ManualClock, topics
from armtune_policies.episode.events import Begin
from armtune_policies.episode.tally import Tally
from armtune_policies.store.nouns import PRACTICE
from armtune_runtime.goal_desk import FOUND_S, GONE_S, PURPOSES, SESSIONS, GoalDesk


class Goal(SimpleNamespace):
    """What rclpy's handle of a goal has."""

    def __init__(self) -> None:
        super().__init__(
            request=SimpleNamespace(episodes=0, steps=0, direction=""), is_cancel_requested=False, ended=""
        )

    def execute(self) -> None:
        self.ended = self.ended or "executed"


def desk(clock: ManualClock | None = None) -> tuple[GoalDesk, list[Any]]:
    said: list[Any] = []
    one = GoalDesk(None, None, clock or ManualClock(0), said.append, lambda: said.append("taken over"), Tally)
    one.is_open = True
    return one, said


@pytest.mark.parametrize("first", topics.ACTIONS)
@pytest.mark.parametrize("second", topics.ACTIONS)
def test_session_of_a_person_is_taken_over_by_the_next_of_its_kind_and_nothing_else_is(first: str, second: str) -> None:
    one, said = desk()
    assert one.takes(first)
    one.accepted(first, old := Goal())
    assert said == [Begin(purpose=PURPOSES.get(first, PRACTICE))]
    assert one.takes(second) == (first == second and first in SESSIONS)
    if one.takes(second):
        one.accepted(second, Goal())
        assert said[1:] == ["taken over"] and old.ended


def test_goal_ends_when_whoever_asked_is_gone_for_a_while_and_not_before_they_could_be_seen() -> None:
    clock = ManualClock(0)
    one, _ = desk(clock)
    assert one.end_wanted(lambda _: 0) == ""
    one.accepted(topics.CORRECT, Goal())
    clock.advance(FOUND_S)
    assert one.end_wanted(lambda _: 0) == ""
    assert one.end_wanted(lambda topic: int(topic == "correct/_action/feedback")) == ""
    clock.advance(GONE_S)
    assert one.end_wanted(lambda _: 0) == ""
    clock.advance(0.1)
    assert one.end_wanted(lambda _: 0) == "whoever asked for it is gone"


def test_session_that_is_being_ended_is_taken_over_by_none() -> None:
    clock = ManualClock(0)
    one, _ = desk(clock)
    one.accepted(topics.CORRECT, Goal())
    clock.advance(FOUND_S + 1.0)
    assert one.end_wanted(lambda _: 0) and not one.takes(topics.CORRECT), "its end would be the new one's"


@pytest.mark.parametrize(
    ("action", "direction", "is_taken"),
    [
        (topics.EVALUATE, "backward", True),
        (topics.EVALUATE, "sideways", False),
        (topics.PRACTICE, "forward", False),  # it takes turns
        (topics.PRACTICE, "", True),
    ],
)
def test_direction_is_a_known_one_and_asked_for_in_evaluation_only(action: str, direction: str, is_taken: bool) -> None:
    assert desk()[0].takes(action, direction) is is_taken


def test_practice_goes_on_when_whoever_asked_is_gone() -> None:
    clock = ManualClock(0)
    one, _ = desk(clock)
    one.accepted(topics.PRACTICE, Goal())
    clock.advance(3600.0)
    assert one.end_wanted(lambda _: 0) == ""


def test_goal_that_is_cancelled_ends() -> None:
    one, _ = desk()
    one.accepted(topics.PRACTICE, goal := Goal())
    goal.is_cancel_requested = True
    assert one.end_wanted(lambda _: 1) == "cancelled"
