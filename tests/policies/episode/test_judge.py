"""Answers come out in step order, once each, by their deadline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Verdict
from armtune_policies.episode.judge import Judge

NO, YES, UNKNOWN = Verdict.NO, Verdict.YES, Verdict.UNKNOWN
MS = 1_000_000


@given(st.permutations(list(range(8))), st.integers(0, 8))
def test_steps_come_out_in_order_when_answers_come_in_any(order: list[int], answered: int) -> None:
    judge, out = Judge(1.0), []
    judge.ticked(7, 0)
    for step in order[:answered]:
        judge.answered(step, YES, 0)
        out += judge.due(0)
    out += judge.due(1000 * MS)
    assert out == [(k, YES if k in order[:answered] else UNKNOWN) for k in range(8)]


def test_step_waits_when_its_deadline_has_not_passed() -> None:
    judge = Judge(1.0)
    judge.ticked(0, 0)
    assert judge.due(999 * MS) == []
    assert judge.due(1000 * MS) == [(0, UNKNOWN)]


def test_late_answer_changes_nothing_when_the_step_was_judged() -> None:
    judge = Judge(1.0)
    judge.ticked(0, 0)
    assert judge.due(1000 * MS) == [(0, UNKNOWN)]
    judge.answered(0, YES, 1001 * MS)
    assert judge.due(2000 * MS) == []


def test_first_answer_counts_when_there_are_two() -> None:
    judge = Judge(1.0)
    judge.answered(0, NO, 0)
    judge.answered(0, YES, 0)
    assert judge.due(0) == [(0, NO)]


def test_skipped_steps_are_due_too_when_a_tick_was_missed() -> None:
    judge = Judge(1.0)
    judge.answered(2, YES, 0)
    assert judge.due(0) == []
    assert judge.due(1000 * MS) == [(0, UNKNOWN), (1, UNKNOWN), (2, YES)]


def test_a_yes_counts_only_with_the_gripper_open_as_far_as_asked() -> None:
    judge = Judge(1.0, opening=0.5)
    judge.answered(0, Verdict.YES, 0)  # nobody has said how far it is open
    for step, opening in ((1, 0.4), (2, 0.5), (3, float("nan"))):
        judge.moved(opening)
        judge.ticked(step, 0)
        judge.answered(step, Verdict.YES, 0)
    judge.moved(0.0)  # after its step began
    said = [verdict for _, verdict in judge.due(0)]
    assert said == [Verdict.NO, Verdict.NO, Verdict.YES, Verdict.NO]
