from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from sets import frame_set

from armtune_policies.contract import Verdict
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.reward.metrics import VoteRule, by_question, report, worst
from armtune_policies.reward.tune import tune, write_vote

Y, N, U = int(Verdict.YES), int(Verdict.NO), int(Verdict.UNKNOWN)


def said(*codes: int) -> np.ndarray:
    return np.array(codes, np.uint8)


def test_an_abstention_on_a_success_is_a_miss_and_on_a_failure_no_false_positive() -> None:
    found = report(frame_set([[False, False, True, True]]), said(U, N, U, Y), VoteRule())
    assert found.frame_fpr == 0.0 and found.frame_recall == 0.5 and found.abstain == 0.5
    assert found.frame_precision == 1.0


def test_a_vote_that_completes_on_a_failure_is_a_false_stop_and_a_success_without_one_a_miss() -> None:
    frames = frame_set([[False] * 4, [False, True, True, True], [False, True, True, True]])
    answers = said(N, Y, Y, N, N, N, N, Y, N, N, Y, Y)
    found = report(frames, answers, VoteRule(2, 3))
    assert found.episode_false_stop == pytest.approx(1 / 3) and found.episode_miss == pytest.approx(1 / 2)
    assert found.n_reached == 2 and found.n_episodes == 3


def test_a_yes_with_a_shut_gripper_does_not_count_where_the_vote_asks_for_an_open_one() -> None:
    frames = frame_set([[False] * 3], opening=0.2)
    assert report(frames, said(Y, Y, Y), VoteRule(2, 3, 0.5)).episode_false_stop == 0.0
    assert report(frames, said(Y, Y, Y), VoteRule(2, 3, 0.0)).episode_false_stop == 1.0


def test_bounds_lie_on_the_bad_side_and_episodes_that_err_as_one_widen_them() -> None:
    frames = frame_set([[False] * 50 for _ in range(20)])
    spread, lumped = np.full(1000, N, np.uint8), np.full(1000, N, np.uint8)
    spread[::50] = Y
    lumped[:20] = Y
    a, b = report(frames, spread, VoteRule()), report(frames, lumped, VoteRule())
    assert a.frame_fpr == b.frame_fpr == 0.02
    assert a.frame_fpr_upper95 is not None and b.frame_fpr_upper95 is not None
    assert 0.02 < a.frame_fpr_upper95 < b.frame_fpr_upper95
    assert report(frames, np.full(1000, N, np.uint8), VoteRule()).frame_fpr_upper95 > 0.0


def test_the_worst_direction_is_told() -> None:
    frames = frame_set([[False] * 4 + [True] * 2, [False] * 4 + [True] * 2], [0, 1])
    found = worst(by_question(frames, said(N, N, N, N, Y, Y, N, Y, N, N, N, Y), VoteRule()))
    assert found["frame_fpr"] == 0.25 and found["frame_recall"] == 0.5 and found["n_frames"] == 12


def test_tuning_finds_the_vote_that_one_bright_frame_does_not_fool(tmp_path: Path) -> None:
    frames = frame_set([[False] * 6, [False] * 3 + [True] * 3])
    tried = tune(frames, said(N, Y, N, N, N, N, N, N, N, Y, Y, Y))
    best = tried[0]
    assert best.false_stops == best.misses == 0.0 and best.rule == VoteRule(2, 2, 0.0)
    assert len(tried) == 45 and tried[-1].cost >= best.cost
    write_vote(tmp_path / "tuned.yaml", best.rule)
    read = EpisodeParams.from_mapping(yaml.safe_load((tmp_path / "tuned.yaml").read_text()))
    assert (read.vote_need, read.vote_window, read.vote_opening) == (2, 2, 0.0)
