"""The sticky gripper: a change of mind is held, what is wanted all along is left alone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.runtime.grip import Grip


def told(steps: int, wanted: list[float], episode: object = "one", grip: Grip | None = None) -> list[float]:
    grip = grip or Grip(steps)
    return [grip.held(episode, step, opening) for step, opening in enumerate(wanted)]


def test_a_policy_that_opens_and_closes_in_turn_lets_go() -> None:
    assert told(3, [0, 1, 0, 1, 0, 0]) == [0, 1, 1, 1, 0, 0]
    assert told(1, [0, 1, 0, 1, 0, 0]) == [0, 1, 0, 1, 0, 0]


def test_how_far_it_opens_may_change_while_it_opens() -> None:
    assert told(3, [0.0, 0.8, 0.9, 0.2, 0.2]) == [0.0, 0.8, 0.9, 0.9, 0.2]


def test_an_episode_begins_anew() -> None:
    grip = Grip(3)
    assert told(3, [0, 1], "one", grip) == [0, 1]
    assert told(3, [0, 0], "two", grip) == [0, 0]


@given(st.integers(1, 6), st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_between_two_changes_are_as_many_steps_as_asked_and_nothing_is_made_up(steps: int, wanted: list[float]) -> None:
    made = told(steps, wanted)
    changes = [k for k in range(1, len(made)) if (made[k] > 0.5) != (made[k - 1] > 0.5)]
    assert all(later - before >= steps for before, later in pairwise(changes))
    assert set(made) <= set(wanted) and made[0] == wanted[0]
    if len({opening > 0.5 for opening in wanted}) == 1:
        assert made == wanted
