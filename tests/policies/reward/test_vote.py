from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Verdict
from armtune_policies.reward.vote import SuccessVote, first_complete

ANSWERS = st.lists(st.sampled_from(list(Verdict)), max_size=40)
RULE = st.integers(1, 6).flatmap(lambda window: st.tuples(st.integers(1, window), st.just(window)))


@given(ANSWERS, RULE)
def test_it_completes_at_the_first_step_whose_window_holds_enough_yes(
    answers: list[Verdict], rule: tuple[int, int]
) -> None:
    need, window = rule
    windows = [answers[max(0, i - window + 1) : i + 1] for i in range(len(answers))]
    expected = next((i for i, seen in enumerate(windows) if seen.count(Verdict.YES) >= need), None)
    assert first_complete(answers, need, window) == expected


@given(ANSWERS, RULE)
def test_an_unknown_is_worth_no_more_than_a_no(answers: list[Verdict], rule: tuple[int, int]) -> None:
    noes = [Verdict.NO if answer is Verdict.UNKNOWN else answer for answer in answers]
    assert first_complete(answers, *rule) == first_complete(noes, *rule)


@given(ANSWERS, RULE)
def test_it_stays_complete_until_it_is_cleared(answers: list[Verdict], rule: tuple[int, int]) -> None:
    vote = SuccessVote(*rule)
    complete = [vote.add(answer) for answer in answers]
    assert complete == sorted(complete) and vote.is_complete == any(complete)
    vote.clear()
    assert not vote.is_complete and vote.add(Verdict.YES) == (rule[0] == 1)


@pytest.mark.parametrize("rule", [(0, 3), (4, 3), (1, 0)])
def test_a_rule_is_refused_when_it_can_never_or_always_complete(rule: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= need <= window"):
        SuccessVote(*rule)
