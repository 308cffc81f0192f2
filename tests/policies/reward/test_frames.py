from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.reward.frames import EpisodeFacts, label_frames, split_episodes


def test_the_last_three_are_positive_and_ten_before_them_left_out() -> None:
    labels = label_frames(EpisodeFacts("e", "open", 20, True))
    assert [label.step for label in labels if label.is_success] == [17, 18, 19]
    assert [label.step for label in labels if not label.is_success] == list(range(7))


def test_every_frame_of_a_failure_is_negative() -> None:
    labels = label_frames(EpisodeFacts("e", "open", 20, False, "close"))
    assert len(labels) == 20 and not any(label.is_success for label in labels)
    assert {label.sentence for label in labels} == {"open"}


def test_the_end_of_a_task_is_negative_for_the_un_task() -> None:
    other = [label for label in label_frames(EpisodeFacts("e", "open", 20, True, "close")) if label.sentence == "close"]
    assert [label.step for label in other] == [17, 18, 19] and not any(label.is_success for label in other)


@given(st.integers(0, 60), st.booleans())
def test_no_frame_is_labelled_twice_nor_outside_the_episode(steps: int, is_success: bool) -> None:
    found = [label.step for label in label_frames(EpisodeFacts("e", "open", steps, is_success))]
    assert found == sorted(set(found)) and all(0 <= step < steps for step in found)


@given(st.integers(0, 30), st.floats(0.05, 0.5), st.integers(0, 99))
def test_an_episode_is_on_one_side_of_the_split_only(count: int, held_out: float, seed: int) -> None:
    names = [f"e{i}" for i in range(count)]
    train, held = split_episodes(names * 3, held_out, seed)
    assert sorted(train + held) == sorted(names)
    assert count < 2 or (train and held)


@given(st.integers(30, 90), st.integers(1, 90), st.integers(0, 99))
def test_more_episodes_move_none_to_the_other_side(count: int, more: int, seed: int) -> None:
    names = [f"e{i}" for i in range(count + more)]
    held, later = split_episodes(names[:count], 0.25, seed)[1], split_episodes(names, 0.25, seed)[1]
    assert set(later) & set(names[:count]) == set(held)
