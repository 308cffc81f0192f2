"""Episode files as trajectories: what is a step, what follows, what was rewarded."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from dots import ACTION, BACK, GO, episode

from armtune_policies.contract import Verdict
from armtune_policies.learn.episodes import as_trajectory
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import BadData, Trajectory
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import LabelSet


def judged(seed: int = 1, fails: bool = False, **changes: object) -> Episode:
    made = episode(seed, GO, fails)
    features = np.arange(made.steps, dtype=np.float32)[:, None]
    no = np.full(made.steps, Verdict.NO, np.uint8)
    return replace(made, **{"features": features, "encoder_digest": "e", "verdicts": no, **changes})


def rows(one: Episode, **more: object) -> Trajectory:
    return as_trajectory(one, ACTION, (GO, BACK), "e", **more)  # type: ignore[arg-type]


def test_success_ends_in_the_one_rewarded_step() -> None:
    found = rows(judged())
    assert found.reward.tolist() == [-1.0] * (len(found) - 1) + [0.0]
    assert found.terminated[-1] and found.is_step.all() and found.imitate and found.sentence == 0


@pytest.mark.fault("L1")
def test_failure_keeps_its_last_observation_and_does_not_sample_it() -> None:
    found = rows(judged(fails=True))
    assert not found.terminated.any() and not found.imitate
    replay = Replay(100, RowShape(7, 7, 1), AgentParams())
    assert replay.add(found) == len(found) - 1  # nothing was seen after the last


@pytest.mark.fault("L2")
def test_step_without_an_answer_is_seen_but_not_learnt_from() -> None:
    verdicts = np.full(judged().steps, Verdict.NO, np.uint8)
    verdicts[1] = Verdict.UNKNOWN
    found = rows(judged(verdicts=verdicts))
    assert found.is_step.tolist() == [True, False] + [True] * (len(found) - 2)
    assert found.follows[0]


@pytest.mark.fault("L4")
def test_lost_step_breaks_the_chain() -> None:
    one = judged()
    complete = np.ones(one.steps, bool)
    complete[2] = False
    found = rows(judged(complete=complete))
    assert found.features[:, 0].tolist()[:3] == [0, 1, 3]
    assert found.follows.tolist()[:3] == [True, False, True]


@pytest.mark.fault("L9")
def test_other_labels_make_other_rewards() -> None:
    one = judged()
    labels = LabelSet("mine", one.episode_id, (Verdict.NO,) * one.steps, success_step=2)
    found = rows(one, labels=labels)
    assert len(found) == 3 and found.terminated.tolist() == [False, False, True]


def test_actions_fill_the_range() -> None:
    one = judged()
    allowed = np.tile(np.array(ACTION.high, np.float32), (one.steps, 1))
    assert rows(replace(one, allowed=allowed)).action == pytest.approx(1.0)
    assert rows(replace(one, allowed=allowed * 0)).action[0] == pytest.approx([0, 0, 0, 0, 0, 0, -1])


def test_what_does_not_fit_is_refused_by_file_and_key() -> None:
    with pytest.raises(BadData, match=r"dots-00001.mcap: features: expected those of encoder e, got other"):
        rows(judged(encoder_digest="other"))
    with pytest.raises(BadData, match=r"dots-00001.mcap: sentence: expected one of 'go to the left', got"):
        as_trajectory(judged(), ACTION, (BACK,), "e")
    with pytest.raises(BadData, match=r"features: expected \d+ rows, got 1"):
        rows(judged(), features=np.zeros((1, 4), np.float32))
    state = judged().state.copy()
    state[3, 0] = np.nan
    with pytest.raises(BadData, match=r"dots-00001.mcap: state: expected finite numbers, got .* in row 3"):
        rows(judged(state=state))


@settings(max_examples=60, deadline=None)
@given(key=st.sampled_from(["state", "allowed", "features"]), bad=st.sampled_from([np.nan, np.inf]), data=st.data())
def test_one_bad_number_anywhere_is_refused_by_file_and_key(key: str, bad: float, data: st.DataObject) -> None:
    one = judged()
    values = getattr(one, key).copy()
    at = tuple(data.draw(st.integers(0, size - 1)) for size in values.shape)
    values[at] = bad
    named = {"allowed": "action"}.get(key, key)
    with pytest.raises(BadData, match=rf"dots-00001.mcap: {named}: expected .*, got [^:]*(nan|inf)"):
        rows(replace(one, **{key: values}))


def test_an_episode_of_another_rate_is_refused() -> None:
    one = judged()
    with pytest.raises(BadData, match=r"dots-00001.mcap: stamps: expected a step every 0.2 s, got every 0.1 s"):
        rows(replace(one, stamps_ns=one.stamps_ns // 2))
    jittered = one.stamps_ns + np.random.default_rng(0).integers(-30_000_000, 30_000_000, one.steps)
    assert len(rows(replace(one, stamps_ns=jittered))) == one.steps


def test_an_episode_without_a_whole_step_is_refused() -> None:
    with pytest.raises(BadData, match=r"is_step: expected at least one step, got 0 rows without one"):
        rows(judged(complete=np.zeros(judged().steps, bool)))


def test_state_of_another_width_is_refused() -> None:
    with pytest.raises(BadData, match=r"state: expected 7 numbers a row, got \(6,\)"):
        rows(judged(state=judged().state[:, :6]))
