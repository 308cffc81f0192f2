"""The push that moves what an episode failed at: from behind where the hand tried, to where things are grasped."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from armtune_policies.episode.memory import Memory
from armtune_policies.episode.nudge import (
    ABOVE_M,
    BEHIND_M,
    LANE_M,
    LANES,
    LOW_M,
    SHORT_M,
    let_go_at,
    scatter,
    shut_at,
    stroke,
)

places = arrays.arrays(float, 3, elements=st.floats(-0.5, 0.5))
GOAL = np.array([0.3, 0.0, 0.03])


def path(*openings: float) -> tuple[np.ndarray, np.ndarray]:
    """Return states and openings of an episode that moved 1 m a step along x, 0.1 m high."""
    states = np.zeros((len(openings), 7))
    states[:, 0], states[:, 2] = np.arange(len(openings)), 0.1
    return states, np.array(openings)


def test_hand_shuts_where_it_was_told_to_while_open() -> None:
    assert shut_at(*path(1, 1, 0.2, 1, 0))[0] == 2
    assert shut_at(*path(0.2, 0.2, 1, 0.3))[0] == 3
    assert shut_at(*path(1, 1, 1)) is None and shut_at(*path(0.1, 0.1)) is None


def test_thing_stands_where_the_hand_that_held_it_opened_last() -> None:
    at = let_go_at(*path(1, 1, 0.2, 0.1, 1, 1))
    assert at is not None and at[0] == 4
    assert let_go_at(*path(0.2, 1, 1)) is None, "it opened on the way, with nothing in it"
    assert let_go_at(*path(1, 0.2, 0.2)) is None and let_go_at(*path(1, 0.2, 1, 0.2)) is None, "it holds it still"


@given(places, places, st.integers(0, 2**31))
def test_scatter_passes_where_it_stands_and_ends_short_of_the_goal(
    stood: np.ndarray, goal: np.ndarray, seed: int
) -> None:
    lanes = scatter(stood, goal, np.random.default_rng(seed)).reshape(-1, 4, 3)
    above, begin, end, up = lanes[-1]
    assert np.isclose(np.linalg.norm((begin - stood)[:2]), BEHIND_M)
    assert np.isclose(np.linalg.norm((end - goal)[:2]), LANE_M)
    assert np.allclose(lanes[:, 1:3, 2], goal[2] - LOW_M) and np.allclose([above[2], up[2]], goal[2] - LOW_M + ABOVE_M)
    assert np.linalg.norm(lanes[:, 1] - begin, axis=1).max() < LANE_M
    if (far := np.linalg.norm((goal - stood)[:2])) > SHORT_M:
        assert np.allclose((goal - begin)[:2], (goal - stood)[:2] * (far + BEHIND_M) / far)


def test_it_is_scattered_to_where_the_other_direction_was_shown_to_begin() -> None:
    memory = Memory({"forward": [GOAL], "backward": [-GOAL]})
    states, openings = path(1, 0.2, 0.2, 1)
    for step, (state, opening) in enumerate(zip(states, openings)):
        memory.saw(step, state)
        memory.made(step, opening)
    memory.succeeded("backward")
    lane = memory.route("backward", 0, "scatter")
    assert lane is not None and np.allclose(lane[-2].at_m, [GOAL[0] + LANE_M, GOAL[1], GOAL[2] - LOW_M]), (
        "from x = 3 m, towards GOAL"
    )
    assert memory.route("forward", 0, "scatter") is not None
    memory.begin()
    assert memory.route("backward", 0, "scatter") is None


def test_hand_that_never_shut_tried_where_it_was_lowest() -> None:
    states, openings = path(1, 1, 1)
    states[1, 2] = 0.08
    begins = stroke(states, openings, GOAL, np.random.default_rng(0))[1::4]
    assert np.allclose(begins[:, 0], 1 + BEHIND_M)  # the goal lies to the left


@given(places, places, st.integers(0, 2**31))
def test_each_lane_comes_down_behind_and_leaves_above_the_goal(tried: np.ndarray, goal: np.ndarray, seed: int) -> None:
    states = np.tile([*tried, 0, 0, 0, 0], (2, 1))
    lanes = stroke(states, np.array([1.0, 0.0]), goal, np.random.default_rng(seed)).reshape(-1, 4, 3)
    assert np.allclose(lanes[:, 1:3, 2], goal[2]) and np.allclose(lanes[:, [0, 3], 2], goal[2] + ABOVE_M)
    assert np.allclose(lanes[:, 0, :2], lanes[:, 1, :2]) and np.allclose(lanes[:, 2, :2], lanes[:, 3, :2])
    assert len(lanes) == len(LANES) and np.linalg.norm(lanes[:, 2] - goal, axis=1).max() <= 1.001 * LANE_M
    apart = np.linalg.norm(lanes[:, None, 1, :2] - lanes[None, :, 1, :2], axis=2).max()
    assert np.isclose(apart, (max(LANES) - min(LANES)) * LANE_M), "as wide as a policy is mistaken"
    if np.linalg.norm((goal - tried)[:2]) > SHORT_M:
        behind = (lanes[:, 1] - tried)[:, :2] @ (goal - tried)[:2]
        assert (behind < 0).all()


def test_same_seed_same_push_another_another() -> None:
    states, openings = path(1, 1, 0)
    states[:, 0] = GOAL[0]
    first, again, other = (stroke(states, openings, GOAL, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.allclose(first, other)
