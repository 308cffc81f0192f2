from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dots import ACTION, BACK, GO, SPEC, episode

from armtune_policies.contract import ObservationSpec, Verdict
from armtune_policies.learn.data import concatenate, episode_rows, transitions
from armtune_policies.reward.frames import POSITIVE


def test_only_successes_are_imitated() -> None:
    data = transitions([episode(0), episode(1, fails=True), episode(2, BACK)], ACTION, SPEC, (GO, BACK))
    assert data.episode_ids == ("dots-00000", "dots-00002")
    assert set(data.episode.tolist()) == {0, 1} and set(data.sentence.tolist()) == {0, 1}
    assert len(data) == len(data.images["front"]) == len(data.action)


@pytest.mark.fault("L3")
def test_rows_are_left_out_when_they_are_not_whole_or_the_arm_was_held() -> None:
    one = episode(0)
    one.complete[0] = False
    one.modes[1] = 2
    one.allowed[2, 3] = np.nan
    rows = episode_rows(one, ACTION, SPEC, (GO, BACK))
    np.testing.assert_array_equal(rows.state, one.state[3:-POSITIVE])


def test_rows_that_show_success_are_not_imitated() -> None:
    one = episode(0)
    np.testing.assert_array_equal(episode_rows(one, ACTION, SPEC, (GO, BACK)).state, one.state[:-POSITIVE])
    one.verdicts[:] = Verdict.NO
    one.verdicts[-1] = Verdict.YES
    np.testing.assert_array_equal(episode_rows(one, ACTION, SPEC, (GO, BACK)).state, one.state[:-1])


def test_recorded_features_are_kept_when_they_are_of_this_encoder() -> None:
    one = episode(0)
    one = replace(one, features=np.ones((one.steps, 5), np.float32), encoder_digest="ab")
    assert episode_rows(one, ACTION, SPEC, (GO,), "ab").features.shape == (one.steps - POSITIVE, 5)
    assert episode_rows(one, ACTION, SPEC, (GO,), "cd").features.shape == (one.steps - POSITIVE, 0)


def test_a_sentence_says_so_when_an_episode_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"expected images of camera front \(96, 96, 3\), got \(32, 32, 3\)"):
        transitions([episode(0)], ACTION, ObservationSpec(), (GO,))
    with pytest.raises(ValueError, match="sentence 'go to the dot' is none of 'dance'"):
        transitions([episode(0)], ACTION, SPEC, ("dance",))
    with pytest.raises(ValueError, match="no successful episodes"):
        transitions([episode(0, fails=True)], ACTION, SPEC, (GO,))


def test_episodes_keep_their_names_when_sets_are_joined() -> None:
    sets = [transitions([episode(s), episode(s + 1)], ACTION, SPEC, (GO,)) for s in (0, 2)]
    joined = concatenate(sets)
    assert [joined.episode_ids[i] for i in np.unique(joined.episode)] == [f"dots-{i:05d}" for i in range(4)]
    assert joined.digest != sets[0].digest
