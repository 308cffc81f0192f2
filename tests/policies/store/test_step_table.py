"""The join does not care in which order the parts come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store.nouns import Observation
from armtune_policies.store.step_table import Row, StepTable


def observation(step: int, episode: str = "e") -> Observation:
    return Observation(episode, step, step, {}, np.zeros(7, np.float32))


def decision(step: int, episode: str = "e") -> Decision:
    values = (0.0,) * 7
    return Decision(step, 1, episode, step, "policy", 0, "", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN)


def answer(step: int, verdict: Verdict = Verdict.NO, episode: str = "e") -> RewardAnswer:
    return RewardAnswer(episode, step, 0.5, verdict, "m", 0.0)


def joined(parts: Iterable[Any]) -> tuple[Row, ...]:
    table = StepTable("e")
    for part in parts:
        table.add(part)
    return table.rows


PARTS = st.sets(st.tuples(st.sampled_from([observation, decision, answer]), st.integers(0, 8)), max_size=27)


@given(PARTS.flatmap(lambda parts: st.permutations(sorted(parts, key=lambda p: (p[1], p[0].__name__)))))
def test_rows_are_the_same_when_parts_come_in_any_order(order: list) -> None:
    rows = joined(make(step) for make, step in order)
    have = {(make.__name__, step) for make, step in order}
    assert [row.step for row in rows] == sorted({step for _, step in order})
    for row in rows:
        assert row.is_complete == ({("observation", row.step), ("decision", row.step)} <= have)
        assert (row.answer is not None) == (("answer", row.step) in have)


def test_verdict_is_unknown_when_no_answer_came() -> None:
    (row,) = joined([observation(0), decision(0)])
    assert row.verdict == Verdict.UNKNOWN and row.is_complete


def test_late_answer_patches_its_own_row_when_later_steps_are_there() -> None:
    table = StepTable("e")
    for step in range(3):
        table.add(observation(step))
        table.add(decision(step))
    assert table.add(answer(0, Verdict.YES)) is not None
    assert [row.verdict for row in table.rows] == [Verdict.YES, Verdict.UNKNOWN, Verdict.UNKNOWN]


def test_second_answer_changes_nothing_when_one_is_there() -> None:
    table = StepTable("e")
    table.add(answer(0, Verdict.NO))
    assert table.add(answer(0, Verdict.YES)) is None
    assert table.row(0).verdict == Verdict.NO


def test_part_is_refused_when_it_is_of_another_episode() -> None:
    table = StepTable("e")
    assert table.add(observation(0, "old")) is None
    assert table.rows == () and table.last_step == -1


def test_table_is_complete_through_a_step_only_when_no_row_before_it_is_missing() -> None:
    table = StepTable("e")
    for step in (0, 2):
        table.add(observation(step))
        table.add(decision(step))
    assert table.is_complete_through(-1) and table.is_complete_through(0)
    assert not table.is_complete_through(2)
