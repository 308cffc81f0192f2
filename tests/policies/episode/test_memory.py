"""Where the arm believes a loose thing to stand, when it is sure of it, and what it does with it."""

from __future__ import annotations

import numpy as np

from armtune_policies.episode.carry import ASIDE_M, LEGS, PUT
from armtune_policies.episode.memory import Memory
from armtune_policies.episode.motion import Leg

FORWARD, BACKWARD = np.array([0.3, 0.1, 0.03]), np.array([0.2, -0.1, 0.05])
LET_GO_M = (0.25, 0.02)


def succeeded(carries: bool = True) -> Memory:
    """Return the memory of a backward success that let go at ``LET_GO_M``."""
    memory = Memory({"forward": [FORWARD], "backward": [BACKWARD]}, carries)
    for step, opening in enumerate((1.0, 0.0, 0.0, 1.0)):
        memory.saw(step, np.array([*LET_GO_M, 0.04, 0.0, 0.0, 0.0, opening]))
        memory.made(step, opening)
    memory.succeeded("backward")
    return memory


def passed(legs: tuple[Leg, ...] | None, count: int = LEGS, thick: float = 0.3) -> list[np.ndarray]:
    """Return the states of a hand that followed the first legs of a route exactly, something in it."""
    assert legs is not None
    return [np.array([*leg.at_m, 0.0, 0.0, 0.0, max(leg.opening, thick)]) for leg in legs[:count]]


def is_carried(legs: tuple[Leg, ...] | None) -> bool:
    return legs is not None and any(leg.holds for leg in legs)


def test_where_a_success_let_go_is_believed_and_what_the_arm_carried_known_until_the_next_try() -> None:
    memory = succeeded()
    assert memory.stands_m == (), "the judge may be wrong"
    memory.followed(passed(memory.route("backward", 3, "scatter")))
    assert memory.stands_m != ()
    memory.begin()
    assert memory.stands_m == ()


def test_an_arm_that_was_held_on_its_way_or_dropped_it_is_sure_of_nothing() -> None:
    for spoil in (
        lambda states: [np.array([0.2, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0])] * LEGS,
        lambda states: [*states[: PUT + 1], states[PUT + 1] + 0.06, *states[PUT + 2 :]],
        lambda states: [*states[:PUT], states[PUT] * [1, 1, 1, 1, 1, 1, 0], *states[PUT + 1 :]],
        lambda states: [state * np.nan for state in states],
    ):
        memory = succeeded()
        assert not memory.followed(spoil(passed(memory.route("backward", 3, "scatter"))))
        assert memory.stands_m == ()


def test_it_is_picked_up_where_it_stands_as_high_as_it_was_shown_and_carried_near_to_where_it_was_shown() -> None:
    memory = succeeded()
    legs = memory.route("backward", 3, "scatter")
    assert legs is not None and is_carried(legs) and np.allclose(legs[2].at_m, [*LET_GO_M, FORWARD[2]])
    put = np.array(legs[PUT].at_m)
    assert np.abs(put - FORWARD)[:2].max() <= ASIDE_M and put[2] == FORWARD[2]
    assert memory.stands_m == (), "meanwhile nobody knows"
    assert memory.followed(passed(legs)) and np.allclose(memory.stands_m, put[:2])


def test_after_a_failure_the_arm_reaches_where_it_believes_it_to_stand_and_is_sure_once_it_has_put_it_down() -> None:
    memory = succeeded()
    memory.begin()
    legs = memory.route("forward", 3)
    assert is_carried(legs) and memory.followed(passed(legs)) and memory.stands_m


def test_a_hand_that_comes_up_empty_pushes_what_the_episode_failed_at() -> None:
    memory = succeeded()
    assert not memory.followed(passed(memory.route("backward", 3, "scatter"), 4))
    assert memory.stands_m == ()
    legs = memory.route("backward", 3, "scatter")
    assert legs is not None and not is_carried(legs)
    assert memory.followed(passed(legs)) and memory.stands_m == (), "where a push ends nobody knows"


def test_what_is_only_to_be_carried_is_not_pushed() -> None:
    memory = succeeded()
    legs = memory.route("backward", 3, "carry")
    assert is_carried(legs) and not memory.followed(passed(legs, 4))
    assert memory.route("backward", 3, "carry") is None


def test_nobody_knows_where_it_stands_after_a_person_was_there() -> None:
    memory = succeeded()
    memory.forget()
    assert memory.stands_m == () and not is_carried(memory.route("backward", 3, "scatter"))


def test_what_is_not_loose_is_never_carried_nor_are_recovery_moves() -> None:
    fast = succeeded(carries=False)
    assert fast.stands_m == () and not is_carried(fast.route("backward", 3, "scatter"))
    assert not is_carried(succeeded().route("backward", 3, "recover"))
