"""Rewards follow from a label set: exactly one zero per success, unknown left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import RewardAnswer, Verdict
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.errors import BadData
from armtune_policies.store.labels import LabelSet, derive, live_labels, patched, read_labels, write_labels
from armtune_policies.store.nouns import EpisodeState


def episode(verdicts: list[Verdict], outcome: str, complete: list[bool] | None = None) -> Episode:
    n = len(verdicts)
    numbers = np.zeros((n, 7), np.float32)
    return Episode(
        path=Path("e.mcap"),
        about=EpisodeState(episode_id="e", outcome=outcome, end_step=n - 1),
        metadata={},
        images={},
        state=numbers,
        features=np.zeros((n, 0), np.float32),
        proposed=numbers,
        allowed=numbers,
        stamps_ns=np.arange(n),
        complete=np.array([True] * n if complete is None else complete, bool),
        modes=np.zeros(n, np.uint8),
        verdicts=np.array(verdicts, np.uint8),
        probabilities=np.zeros(n, np.float32),
        sources=("policy",) * n,
        limited_by=((),) * n,
        refused=("",) * n,
        policy_versions=("v",) * n,
        encoder_digest="",
        observation_digest="",
        reward_digest="m",
    )


NO, YES, UNKNOWN = Verdict.NO, Verdict.YES, Verdict.UNKNOWN
VERDICTS = st.lists(st.sampled_from([NO, YES, UNKNOWN]), min_size=1, max_size=12)


@given(VERDICTS, st.sampled_from(["success", "timeout", "aborted"]), st.data())
def test_rewards_are_minus_one_but_for_one_zero_when_the_episode_succeeded(
    verdicts: list[Verdict], outcome: str, data: st.DataObject
) -> None:
    if outcome == "success":
        verdicts[-1] = YES  # the vote was completed by a yes
    complete = data.draw(st.lists(st.booleans(), min_size=len(verdicts), max_size=len(verdicts)))
    one = episode(verdicts, outcome, complete)
    rows = derive(one, live_labels(one))
    assert np.isfinite(rows.reward).all() and set(np.unique(rows.reward)) <= {-1.0, 0.0}
    assert list(rows.steps) == [k for k, v in enumerate(verdicts) if v != UNKNOWN and complete[k]]
    np.testing.assert_array_equal(rows.reward == 0.0, rows.terminated)
    np.testing.assert_array_equal(rows.success, rows.terminated)
    assert rows.terminated.sum() == int(outcome == "success" and complete[-1])
    assert not (rows.terminated & rows.truncated).any()
    assert not (rows.truncated & (rows.steps != one.steps - 1)).any()
    np.testing.assert_array_equal(rows.done, rows.terminated | rows.truncated)


@pytest.mark.fault("L1")
def test_time_limit_truncates_when_no_vote_was_completed() -> None:
    one = episode([NO, NO, NO], "timeout")
    rows = derive(one, live_labels(one))
    assert list(rows.truncated) == [False, False, True] and not rows.terminated.any()
    assert list(rows.has_next) == [True, True, False]


@pytest.mark.fault("L2")
def test_step_is_left_out_when_its_reward_is_unknown() -> None:
    one = episode([NO, UNKNOWN, NO, YES], "success")
    rows = derive(one, live_labels(one))
    assert list(rows.steps) == [0, 2, 3] and list(rows.reward) == [-1.0, -1.0, 0.0]


def test_return_is_cut_when_the_next_observation_is_missing() -> None:
    one = episode([NO, NO, NO], "timeout", [True, False, True])
    rows = derive(one, live_labels(one))
    assert list(rows.steps) == [0, 2] and not rows.has_next.any()


def test_rows_after_the_success_are_left_out_when_another_label_set_sees_it_earlier() -> None:
    one = episode([NO, NO, NO, YES], "success")
    earlier = replace(live_labels(one), name="relabelled", success_step=1)
    rows = derive(one, earlier)
    assert list(rows.steps) == [0, 1] and list(rows.reward) == [-1.0, 0.0]


@pytest.mark.fault("L9")
def test_success_is_truncation_when_another_label_set_denies_it() -> None:
    one = episode([NO, NO], "success")
    rows = derive(one, replace(live_labels(one), success_step=None))
    assert list(rows.reward) == [-1.0, -1.0] and list(rows.truncated) == [False, True]


def test_late_answer_fills_only_unknown_steps_when_it_comes_after_the_end() -> None:
    one = episode([NO, UNKNOWN], "timeout")
    late = [RewardAnswer("e", 1, 0.9, YES, "m", 9.0), RewardAnswer("e", 0, 0.9, YES, "m", 9.0)]
    labels = patched(live_labels(one), late)
    assert labels.verdicts == (NO, YES) and labels.success_step is None


def test_label_set_is_the_same_when_written_and_read(tmp_path: Path) -> None:
    one = episode([NO, UNKNOWN, YES], "success")
    labels = replace(live_labels(one), name="hand")
    path = write_labels(tmp_path, labels)
    assert path == tmp_path / "labels" / "e" / "hand.json"
    assert read_labels(tmp_path, one, "hand") == labels


def test_live_set_needs_no_sidecar_when_read(tmp_path: Path) -> None:
    one = episode([NO, YES], "success")
    assert read_labels(tmp_path, one) == live_labels(one)
    with pytest.raises(FileNotFoundError):
        read_labels(tmp_path, one, "nobody")


def test_labels_are_refused_when_they_do_not_fit_the_episode() -> None:
    one = episode([NO, YES], "success")
    with pytest.raises(BadData, match=r"e.mcap: labels hand: expected 2 steps of e, got 1 of e"):
        derive(one, LabelSet("hand", "e", (NO,), None))


def test_sidecar_is_refused_in_one_sentence_when_it_is_damaged(tmp_path: Path) -> None:
    one = episode([NO, YES], "success")
    path = write_labels(tmp_path, replace(live_labels(one), name="hand"))
    path.write_text('{"verdicts": ["maybe"]}')
    with pytest.raises(ValueError, match="expected a label set"):
        read_labels(tmp_path, one, "hand")
