"""Whatever happens, every direction gets its turn and nothing is tried for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.episode.course import Course, Rules

RULES = Rules(max_failures=2, nudge=1, stuck=4, recoveries=2, reset_every=7, scatter="forward")


@pytest.mark.fault("F52")
@given(st.lists(st.sampled_from(["success", "failure", "solved"]), max_size=80), st.booleans())
def test_course_keeps_its_promises_whatever_happens(happened: list[str], carries: bool) -> None:
    course = Course(replace(RULES, carries=carries))
    c, last = course.counts, ""
    for what in happened:
        before, move = c.direction, course.move()
        assert move != "scatter" or (c.direction == "forward" and last == "success")
        assert move != "carry" or (carries and c.direction == "backward" and last == "success")
        if move in ("ask", "reset"):
            course.helped(move)
            assert course.move() not in ("ask", "reset"), "a person is asked once"
        else:
            course.moved(move)
        last = what if what != "solved" else last
        if what == "solved":
            course.solved()
        else:
            course.ended(what == "success")
        assert (c.direction != before) or what == "failure"
        assert c.failures_in_a_row < RULES.max_failures and c.since_success <= RULES.stuck + RULES.recoveries
        assert c.since_reset <= RULES.reset_every and c.solved_in_a_row <= 2
    judged = [what for what in happened if what != "solved"]
    assert c.episodes == len(judged) == c.episodes_forward + c.episodes_backward
    assert c.successes_forward + c.successes_backward == judged.count("success")
    assert c.solved_starts == happened.count("solved")


def test_moves_come_in_their_order_when_nothing_succeeds() -> None:
    course, moves = Course(Rules(max_failures=2, nudge=2, stuck=3, recoveries=2)), []
    for _ in range(6):
        moves.append(course.move())
        course.ended(False)
    assert moves == ["try", "try", "nudge", "recover", "recover", "ask"]


def test_nothing_is_done_and_nobody_asked_where_all_is_never() -> None:
    course = Course(Rules(max_failures=1))
    for _ in range(50):
        assert course.move() == "try"
        course.ended(False)
    assert course.counts.forced == 50


def test_what_a_success_put_down_is_pushed_about_before_one_direction_only() -> None:
    course, moves = Course(Rules(max_failures=5, nudge=1, scatter="forward")), []
    for is_success in (True, True, False, True, True):
        moves.append(course.move())
        course.moved(moves[-1])
        course.ended(is_success)
    assert moves == ["try", "try", "scatter", "nudge", "try"] and course.move() == "scatter"
    assert (course.counts.scatters, course.counts.nudges, course.pushes) == (1, 1, 2)
    course.helped("reset")
    assert course.move() == "try", "a scene just laid is another one"


def test_a_loose_thing_is_carried_elsewhere_before_either_direction() -> None:
    course, moves = Course(Rules(max_failures=5, nudge=1, scatter="forward", carries=True)), []
    for is_success in (True, True, True, False):
        moves.append(course.move())
        course.moved(moves[-1])
        course.ended(is_success)
    assert moves == ["try", "carry", "scatter", "carry"] and course.move() == "nudge"
    assert course.counts.scatters == 3
