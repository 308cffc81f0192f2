"""The ring: what may be sampled, and which row is the next, at every end and at the wrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.learn.replay import Replay, RowShape, mixed, share_now
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import BadData, Trajectory

PARAMS = AgentParams(gamma=0.9)


def walk(first: int, count: int, end: str = "limit", **more: object) -> Trajectory:
    """``count`` steps whose state counts up from ``first``; ends in a success, a time limit, or nothing known."""
    rows = count + (end == "limit")
    is_step, terminated = np.arange(rows) < count, np.zeros(rows, bool)
    terminated[count - 1] = end == "success"
    reward = np.where(is_step & ~terminated, -1.0, 0.0).astype(np.float32)
    values: dict[str, object] = {
        "source": f"walk {first}",
        "features": np.zeros((rows, 0), np.float32),
        "state": np.arange(first, first + rows, dtype=np.float32)[:, None],
        "action": np.where(is_step, 0.5, 0.0).astype(np.float32)[:, None],
        "reward": reward,
        "terminated": terminated,
        "follows": np.arange(rows) < rows - 1,
        "is_step": is_step,
    }
    return Trajectory(**{**values, **more})  # type: ignore[arg-type]


def ring(capacity: int) -> Replay:
    return Replay(capacity, RowShape(state=1, action=1), PARAMS)


def pairs(replay: Replay) -> set[tuple[float, float, float]]:
    """Every transition there is: state, next state, bootstrap."""
    batch = replay.gather(replay.usable)
    columns = (batch.seen.vector[:, 0], batch.next_seen.vector[:, 0], batch.bootstrap)
    return set(zip(*(column.tolist() for column in columns)))


@pytest.mark.fault("L1")
def test_time_limit_bootstraps_from_the_last_observation_and_never_samples_it() -> None:
    replay = ring(10)
    assert replay.add(walk(0, 2)) == 2
    assert pairs(replay) == {(0, 1, 1), (1, 2, 1)}


@pytest.mark.fault("L1")
def test_success_does_not_bootstrap_and_looks_at_no_other_episode() -> None:
    replay = ring(10)
    replay.add(walk(0, 2, "success"))
    replay.add(walk(50, 1))
    assert pairs(replay) == {(0, 1, 1), (1, 1, 0), (50, 51, 1)}


@pytest.mark.fault("L4")
def test_step_without_a_next_observation_is_not_sampled() -> None:
    replay = ring(10)
    assert replay.add(walk(0, 2, "nothing")) == 1
    replay.add(walk(50, 1))
    assert pairs(replay) == {(0, 1, 1), (50, 51, 1)}


def test_success_in_the_last_slot_does_not_look_at_the_first() -> None:
    replay = ring(4)
    replay.add(walk(0, 2, "success"))
    replay.add(walk(50, 2, "success"))
    assert pairs(replay) == {(0, 1, 1), (1, 1, 0), (50, 51, 1), (51, 51, 0)}


def test_episode_across_the_wrap_keeps_its_order() -> None:
    replay = ring(5)
    replay.add(walk(0, 3))  # slots 0 1 2 3
    replay.add(walk(50, 2))  # slots 4 0 1
    assert pairs(replay) == {(50, 51, 1), (51, 52, 1), (2, 3, 1)}


@pytest.mark.fault("L4")
def test_newest_row_never_leads_to_the_oldest() -> None:
    replay = ring(6)
    replay.add(walk(0, 5))
    replay.add(walk(50, 2))  # slots 0 1 2; slot 3 is of the first walk
    assert pairs(replay) == {(50, 51, 1), (51, 52, 1), (3, 4, 1), (4, 5, 1)}


@pytest.mark.fault("L2")
def test_unknown_step_serves_as_next_observation_only() -> None:
    whole = walk(0, 3)
    whole = walk(0, 3, is_step=np.array([True, False, True, False]), reward=np.array([-1, 0, -1, 0], np.float32))
    replay = ring(10)
    replay.add(whole)
    assert pairs(replay) == {(0, 1, 1), (2, 3, 1)}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["limit", "success", "nothing"])), max_size=12))
def test_ring_holds_the_newest_rows_and_only_true_transitions(walks: list[tuple[int, str]]) -> None:
    """Against a list that never forgets: what is sampled is true, new, and all there is."""
    capacity, replay, told = 7, ring(7), []
    for number, (count, end) in enumerate(walks):
        first = 100 * number
        replay.add(walk(first, count, end))
        rows = count + (end == "limit")
        told += [(first + k, None) for k in range(rows)]
        for k in range(count):
            place = len(told) - rows + k
            if k == count - 1 and end == "success":
                told[place] = (first + k, (first + k, 0.0))
            elif not (k == count - 1 and end == "nothing"):
                told[place] = (first + k, (first + k + 1, 1.0))
    alive = told[-capacity:]
    assert pairs(replay) == {(state, *after) for state, after in alive if after is not None} if alive else not replay


def test_empty_ring_says_so() -> None:
    with pytest.raises(ValueError, match="the replay is empty"):
        ring(3).sample(np.random.default_rng(0), 1)


@pytest.mark.fault("L5")
def test_other_sizes_are_refused_by_name() -> None:
    with pytest.raises(BadData, match=r"walk 0: rows: expected at most the ring's 3, got 5"):
        ring(3).add(walk(0, 4))
    with pytest.raises(BadData, match=r"walk 0: state: expected 2 numbers a row, got 1"):
        Replay(10, RowShape(state=2, action=1), PARAMS).add(walk(0, 4))
    with pytest.raises(BadData, match=r"walk 0: image front: expected uint8 \(5, \(2, 2\), 3\), got none"):
        Replay(10, RowShape(state=1, action=1, images={"front": (2, 2)}), PARAMS).add(walk(0, 4))


def test_frames_are_stored_once_and_counted() -> None:
    replay = Replay(100, RowShape(state=1, action=1, features=8, half_features=True, images={"front": (4, 4)}), PARAMS)
    bytes_a_row = 8 * 2 + 4 + 4 + 4 + 4 * 4 + 8 + 4 * 4 * 3 + 6
    assert replay.nbytes == 100 * bytes_a_row
    images = np.arange(5 * 48, dtype=np.uint8).reshape(5, 4, 4, 3)
    replay.add(walk(0, 4, features=np.ones((5, 8), np.float32), images={"front": images}))
    rows = replay.usable[:2]
    assert np.array_equal(replay.frames(replay.next_rows(rows), "front"), images[1:3])
    assert replay.gather(rows).seen.vector.shape == (2, 9)


def test_batch_mixes_both_sides_as_told() -> None:
    old, new = ring(10), ring(10)
    old.add(walk(0, 5))
    new.add(walk(500, 5))
    rng = np.random.default_rng(0)
    for share, wanted in ((0.5, 4), (0.25, 2), (0.0, 0), (1.0, 8)):
        batch = mixed(old, new, share, rng, 8)
        assert int((batch.seen.vector < 100).sum()) == wanted and len(batch.reward) == 8
    assert (mixed(old, ring(3), 0.0, rng, 8).seen.vector < 100).all()  # nothing new yet


def test_share_moves_linearly_and_stays() -> None:
    params = AgentParams(offline_share=0.5, offline_share_end=0.1, share_updates=100)
    assert [share_now(params, n) for n in (0, 50, 100, 999)] == pytest.approx([0.5, 0.3, 0.1, 0.1])


def test_same_generator_gives_the_same_batch() -> None:
    replay = ring(10)
    replay.add(walk(0, 5))
    one, two = (replay.sample(np.random.default_rng(3), 16) for _ in range(2))
    assert one.seen.vector.tolist() == two.seen.vector.tolist()


def test_what_hindsight_says_is_imitated_where_it_speaks_and_what_was_done_elsewhere() -> None:
    expert = np.array([[0.25], [np.nan], [np.nan]], np.float32)
    for imitate, worth in ((False, [1, 0]), (True, [1, 1])):
        replay = ring(10)
        replay.add(walk(0, 2, expert=expert, imitate=imitate))
        replay.add(walk(5, 1, "success", imitate=True))
        batch = mixed(replay, replay, 0.5, np.random.default_rng(0), 60)
        told = set(zip(*(column.tolist() for column in (batch.seen.vector[:, 0], batch.expert[:, 0], batch.imitate))))
        assert told == {(0, 0.25, worth[0]), (1, 0.5, worth[1]), (5, 0.5, 1)}
        assert (batch.action == 0.5).all(), "the critics learn of what was done"


def test_expert_that_is_no_action_is_refused() -> None:
    for wrong in (np.full((3, 1), 1.5, np.float32), np.zeros((2, 1), np.float32)):
        with pytest.raises(BadData, match=r"expert: expected \(3, 1\) in -1..1, or NaN"):
            walk(0, 2, expert=wrong)
