"""What an operator says of an episode is kept: labels of their own, or a file that is set aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armtune_policies.contract import Decision, Kind, Mode, Verdict
from armtune_policies.store import records
from armtune_policies.store.episode_reader import list_episodes, next_index, read_episode
from armtune_policies.store.episode_writer import TOPIC_OF
from armtune_policies.store.labels import OPERATOR, derive, read_labels
from armtune_policies.store.nouns import (
    ABORTED,
    DISCARDED,
    HOMING,
    READY,
    SAID_FAILURE,
    SAID_SUCCESS,
    SHOWING,
    SUCCESS,
    TIMEOUT,
    EpisodeState,
    Observation,
)
from armtune_policies.store.recording import Raw, Recording
from armtune_policies.store.settings import RecorderParams

S = 1_000_000_000


def shown(folder: Path, outcome: str, mark: str, skipped: tuple[int, ...] = ()) -> Recording:
    """An episode of four steps that a person showed, some steps being a change of hands."""
    state = EpisodeState(episode_id="run-00000", run_id="run", direction="forward", sentence="open", phase=READY)
    recording = Recording(folder, RecorderParams(disk_floor_mb=10, close_wait_s=1.0))
    recording.on_state(state, 0)
    recording.on_state(replace(state, phase=SHOWING), 0)
    for step in set(range(4)) - set(skipped):
        zeros = np.zeros(7, np.float32)
        seen = Observation("run-00000", step, step, {"front": np.zeros((2, 3, 3), np.uint8)}, zeros)
        told = Decision(
            step, 1, "run-00000", step, "teleop", 0, "", 0, Kind.TOOL_DELTA, (0.1,) * 7, (0.1,) * 7, (), "", Mode.RUN
        )
        for value in (seen, told):
            type_name, data = records.encode(value)
            recording.on_part(value, Raw(TOPIC_OF[type(value)], type_name, 5, data), S)
    recording.on_state(replace(state, phase=HOMING, outcome=outcome, end_step=3, mark=mark), S)
    recording.on_time(3 * S)
    return recording


@pytest.mark.parametrize(
    ("outcome", "mark", "last"), ((SUCCESS, SAID_SUCCESS, Verdict.YES), (TIMEOUT, SAID_FAILURE, Verdict.NO))
)
def test_operators_word_becomes_a_label_set_of_its_own(tmp_path: Path, outcome: str, mark: str, last: Verdict) -> None:
    shown(tmp_path, outcome, mark)
    episode = read_episode(list_episodes(tmp_path)[0])
    labels = read_labels(tmp_path, episode, OPERATOR)
    assert labels.verdicts == (*[Verdict.NO] * 3, last)
    rows = derive(episode, labels)
    assert rows.steps.tolist() == [0, 1, 2, 3] and bool(rows.terminated[-1]) == (outcome == SUCCESS)
    assert episode.intervention.all()


def test_episode_that_nobody_judged_has_no_operators_labels(tmp_path: Path) -> None:
    shown(tmp_path, TIMEOUT, "")
    with pytest.raises(FileNotFoundError):
        read_labels(tmp_path, read_episode(list_episodes(tmp_path)[0]), OPERATOR)


@pytest.mark.fault("F51", "L4")
def test_change_of_hands_leaves_a_hole_that_is_not_learnt_across(tmp_path: Path) -> None:
    shown(tmp_path, SUCCESS, SAID_SUCCESS, skipped=(1,))
    episode = read_episode(list_episodes(tmp_path)[0])
    assert episode.complete.tolist() == [True, False, True, True]
    rows = derive(episode, read_labels(tmp_path, episode, OPERATOR))
    assert rows.steps.tolist() == [0, 2, 3] and rows.has_next.tolist() == [False, True, False]


def test_discarded_episode_is_set_aside_and_its_name_is_not_used_again(tmp_path: Path) -> None:
    shown(tmp_path, ABORTED, DISCARDED)
    assert list_episodes(tmp_path) == []
    assert (tmp_path / "episodes/.trash/run-00000.mcap.1").is_file() and next_index(tmp_path, "run") == 1


@pytest.mark.parametrize("between", ("nothing", "another was announced and never begun", "the recorder restarted"))
def test_episode_that_is_recorded_again_is_set_aside_with_its_film(tmp_path: Path, between: str) -> None:
    recording = shown(tmp_path, SUCCESS, SAID_SUCCESS)
    (path,) = list_episodes(tmp_path)
    path.with_suffix(".mp4").write_bytes(b"film")
    ready = EpisodeState(episode_id="run-00001", run_id="run", phase=READY)
    if between.startswith("another"):
        recording.on_state(ready, 4 * S)
        ready = replace(ready, episode_id="run-00002")
    elif between.endswith("restarted"):
        recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    recording.on_state(replace(ready, sets_aside="run-00000"), 5 * S)
    assert list_episodes(tmp_path) == []
    aside = {one.name for one in (tmp_path / "episodes/.trash").iterdir()}
    assert aside == {"run-00000.mcap.1", "run-00000.mp4.1"} and next_index(tmp_path, "run") == 1
