"""Steps of episodes, whoever takes the arm, and as often as they do."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from armtune_safety.steps import KEPT, StepCount

TURNS = st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 3)), max_size=30)


@given(turns=TURNS)
def test_no_two_periods_are_the_same_step_of_one_episode(turns: list[tuple[str, int]]) -> None:
    count, seen = StepCount(), defaultdict[str, list[int]](list)
    for episode, periods in turns:
        count.take_up(episode)
        seen[episode] += [count.next(episode) for _ in range(periods)]
    for episode, steps in seen.items():
        assert steps == sorted(set(steps)) and (not steps or steps[0] == 0)
        assert episode or steps == list(range(len(steps)))


def test_a_hole_is_left_where_the_arm_was_anothers_in_between() -> None:
    count = StepCount()
    count.take_up("a")
    assert [count.next("a") for _ in range(2)] == [0, 1]
    count.take_up("hand")
    assert count.next("hand") == 0
    count.take_up("a")
    assert count.next("a") == 3


def test_only_the_newest_episodes_are_kept() -> None:
    count = StepCount()
    for i in range(3 * KEPT):
        count.take_up(str(i))
        count.next(str(i))
    assert len(count._newest) == KEPT
