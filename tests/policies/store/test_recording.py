"""The recorder's core: whatever the order and whatever goes wrong, files are whole."""

from __future__ import annotations

import shutil
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store import records, schemas
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.episode_writer import TOPIC_OF, EpisodeWriter
from armtune_policies.store.labels import read_labels
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    DISCARDED,
    HOMING,
    PAUSED,
    READY,
    SAID_SUCCESS,
    SUCCESS,
    TIMEOUT,
    EpisodeState,
    Observation,
)  # fmt: skip
from armtune_policies.store.recording import Raw, Recording
from armtune_policies.store.settings import RecorderParams
from armtune_policies.store.step_table import StepTable

S = 1_000_000_000
STATE = EpisodeState(episode_id="run-00000", run_id="run", direction="forward", sentence="open", phase=READY)


def observation(step: int) -> Observation:
    image = np.full((2, 3, 3), step, np.uint8)
    state = np.full(7, step, np.float32)
    return Observation("run-00000", step, step, {"front": image}, state, np.full(2, step, np.float32), "enc")


def decision(step: int) -> Decision:
    values = (0.1,) * 7
    return Decision(step, 1, "run-00000", step, "policy", 0, "v", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN)


def answer(step: int, verdict: Verdict = Verdict.NO) -> RewardAnswer:
    return RewardAnswer("run-00000", step, 0.5, verdict, "m", 0.0)


def raw(value: Any) -> Raw:
    type_name, data = records.encode(value)
    return Raw(TOPIC_OF[type(value)], type_name, 5, data)


def feed(recording: Recording, *values: Any, now_ns: int = S) -> list[Any]:
    return [row for value in values for row in recording.on_part(value, raw(value), now_ns)]


def begun(folder: Path) -> Recording:
    recording = Recording(folder, RecorderParams(disk_floor_mb=10))
    recording.on_state(STATE, 0)
    recording.on_state(replace(STATE, phase=ACTING), 0)
    return recording


def ended(outcome: str, end_step: int, mark: str = "") -> EpisodeState:
    return replace(STATE, phase=HOMING, judged_step=end_step, outcome=outcome, end_step=end_step, mark=mark)


def test_file_is_whole_when_the_episode_ended_and_all_rows_are_there(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    for step in range(3):
        told = feed(
            recording, observation(step), decision(step), answer(step, Verdict.YES if step == 2 else Verdict.NO)
        )
        assert [row.step for row in told] == [step]
    recording.on_state(ended(SUCCESS, 2), S)
    (path,) = list_episodes(tmp_path)
    episode = read_episode(path)
    assert episode.complete.all() and (episode.outcome, episode.end_step) == (SUCCESS, 2)
    assert list(episode.verdicts) == [Verdict.NO, Verdict.NO, Verdict.YES]
    np.testing.assert_array_equal(episode.images["front"][:, 0, 0, 0], [0, 1, 2])
    np.testing.assert_array_equal(episode.features[:, 0], [0, 1, 2])
    assert recording.trouble == ""


PARTS = [(make, step) for step in range(4) for make in (observation, decision, answer)]


@settings(max_examples=30, deadline=None)
@given(st.permutations(PARTS), st.integers(0, len(PARTS)))
def test_same_rows_are_kept_when_parts_and_the_end_come_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list, end_at: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    recording = begun(folder)
    told = []
    for place, (make, step) in enumerate(order):
        if place == end_at:
            told += recording.on_state(ended(TIMEOUT, 3), S)
        told += feed(recording, make(step))
    if end_at == len(order):
        told += recording.on_state(ended(TIMEOUT, 3), S)
    told += recording.on_time(9 * S)
    episode = read_episode(list_episodes(folder)[0])
    assert episode.steps == 4 and episode.complete.all() and [row.step for row in told] == [0, 1, 2, 3]
    labels = read_labels(folder, episode)
    assert set(labels.verdicts) == {Verdict.NO}, "late answers are patched, in the file or in the labels"


@pytest.mark.parametrize("steps", [1, 60])
def test_nothing_is_lost_when_steps_overtake_the_announcement(tmp_path: Path, steps: int) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    for step in range(steps):
        feed(recording, observation(step), decision(step))
    recording.on_state(replace(STATE, phase=ACTING), 0)
    recording.on_state(ended(TIMEOUT, steps - 1), S)
    assert read_episode(list_episodes(tmp_path)[0]).complete.tolist() == [True] * steps


@pytest.mark.parametrize("parts_first", [True, False], ids=["its parts are heard first", "its end is heard first"])
@pytest.mark.parametrize("outcome", [SUCCESS, TIMEOUT])
def test_episode_that_was_over_before_its_beginning_was_heard_is_kept(
    tmp_path: Path, outcome: str, parts_first: bool
) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    parts = [part for step in range(4) for part in (observation(step), decision(step), answer(step))]
    if parts_first:
        feed(recording, *parts)
    recording.on_state(ended(outcome, 3), S)
    if not parts_first:
        feed(recording, *parts)
    recording.on_state(replace(ended(outcome, 3), reason="home"), 2 * S)
    (path,) = list_episodes(tmp_path)
    episode = read_episode(path)
    assert episode.complete.all() and (episode.outcome, episode.end_step) == (outcome, 3)
    assert not recording.trouble


@pytest.mark.parametrize("pooled", [True, False], ids=["closed beside", "closed at once"])
@pytest.mark.parametrize("mark", ["", DISCARDED])
def test_episode_caught_up_with_ends_as_it_did_and_once(tmp_path: Path, mark: str, pooled: bool) -> None:
    with ThreadPoolExecutor(1) as pool:
        recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10), pool if pooled else None)
        feed(recording, *(part for step in range(3) for part in (observation(step), decision(step))))
        over = replace(ended(ABORTED, 2, mark), phase=PAUSED, reason="waits for the gate: stopped")
        recording.on_state(over, S)
        for _ in range(2):
            feed(recording, observation(0), decision(0))
            recording.on_state(replace(over, stamp_ns=1), 2 * S)
        recording.stop("the end")
    assert not recording.trouble
    if mark:
        assert not list_episodes(tmp_path)
        return
    episode = read_episode(list_episodes(tmp_path)[0])
    assert (episode.outcome, episode.steps, episode.about.reason) == (ABORTED, 3, "")


def test_episode_that_was_set_aside_before_it_was_caught_up_with_is_not_kept(tmp_path: Path) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    recording.on_state(replace(ended(SUCCESS, 3), sets_aside=STATE.episode_id), S)
    feed(recording, *(part for step in range(4) for part in (observation(step), decision(step), answer(step))))
    recording.on_time(9 * S)
    assert not list_episodes(tmp_path) and not recording.trouble


def test_episode_whose_beginning_nobody_heard_is_said_to_be_lost(tmp_path: Path) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    feed(recording, observation(40), decision(40), answer(40))
    recording.on_state(ended(SUCCESS, 40), S)
    assert not recording.trouble, "its first part may be on its way"
    recording.on_state(replace(STATE, episode_id="run-00001"), 2 * S)
    assert recording.trouble.startswith("run-00000 is not recorded: its beginning was not heard")
    recording.on_state(replace(STATE, episode_id="run-00002"), 3 * S)
    assert not recording.trouble


def test_file_says_where_the_thing_stood_as_is_known_at_the_end(tmp_path: Path) -> None:
    recording, state = Recording(tmp_path, RecorderParams(disk_floor_mb=10)), replace(STATE, stands_m=(0.3, 0.1))
    recording.on_state(state, 0)
    feed(recording, observation(0), decision(0), answer(0))
    recording.on_state(replace(state, phase=ACTING, stands_m=()), 0)
    recording.on_state(ended(TIMEOUT, 0), S)
    assert read_episode(list_episodes(tmp_path)[0]).about.stands_m == ()


def test_state_of_an_episode_whose_first_part_another_recorder_had_begins_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    feed(recording, answer(2), observation(3), decision(3))
    recording.on_state(ended(SUCCESS, 3), S)
    assert not list_episodes(tmp_path) and not recording.trouble


def test_hole_is_kept_as_a_hole_when_a_part_never_comes(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0), decision(1), observation(2), decision(2), observation(3), decision(3))
    recording.on_state(ended(TIMEOUT, 3), S)
    assert list_episodes(tmp_path) == [], "it waits for what is missing"
    assert [row.step for row in recording.on_time(2 * S)] == []
    told = recording.on_time(3 * S + 1)
    assert [row.is_complete for row in told] == [False, True, True]
    assert list(read_episode(list_episodes(tmp_path)[0]).complete) == [True, False, True, True]


def test_steps_beyond_the_end_are_not_part_of_the_episode_when_they_came_in_time(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    for step in range(4):
        feed(recording, observation(step), decision(step), answer(step))
    recording.on_state(ended(TIMEOUT, 2), S)
    assert read_episode(list_episodes(tmp_path)[0]).steps == 3


def test_answer_goes_to_the_labels_when_the_file_is_closed(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0))
    recording.on_state(ended(TIMEOUT, 0), S)
    episode = read_episode(list_episodes(tmp_path)[0])
    assert list(episode.verdicts) == [Verdict.UNKNOWN]
    feed(recording, answer(0))
    assert read_labels(tmp_path, episode).verdicts == (Verdict.NO,)


def test_file_of_a_failure_waits_for_what_its_last_step_taught(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0), answer(0), observation(1), decision(1))
    recording.on_state(ended(TIMEOUT, 1), S)
    assert list_episodes(tmp_path) == []
    feed(recording, answer(1))
    assert list(read_episode(list_episodes(tmp_path)[0]).verdicts) == [Verdict.NO, Verdict.NO]


def test_nothing_is_left_when_the_episode_had_no_step(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    recording.on_state(ended(ABORTED, -1), S)
    assert not (tmp_path / "episodes").exists() or not list((tmp_path / "episodes").iterdir())


def test_episode_is_closed_as_aborted_when_the_next_one_begins_unannounced(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    recording.on_state(replace(STATE, phase=ACTING, judged_step=0), S)
    feed(recording, observation(0), decision(0), answer(0))
    recording.on_state(replace(STATE, episode_id="run-00001", phase=READY), S)
    assert read_episode(list_episodes(tmp_path)[0]).outcome == ABORTED


def test_file_is_closed_whole_when_the_recorder_is_stopped(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0), observation(1))
    recording.stop("Ctrl-C")
    episode = read_episode(list_episodes(tmp_path)[0])
    assert (episode.outcome, episode.about.reason, episode.steps) == (ABORTED, "Ctrl-C", 1)


def test_side_messages_are_kept_with_their_step_when_it_is_written(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    picture = Raw("front/image_raw/compressed", schemas.COMPRESSED_IMAGE, 5, b"\0\1\0\0jpeg")
    recording.on_side(picture, "run-00000", 0)
    feed(recording, observation(0), decision(0))
    recording.on_state(ended(TIMEOUT, 0), S)
    assert b"jpeg" in list_episodes(tmp_path)[0].read_bytes()


def test_an_end_waits_for_the_view_of_its_last_step_but_not_for_ever(tmp_path: Path) -> None:
    owed = {"run-00000", "run-00001"}
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10, close_wait_s=2.0), is_owed=owed.__contains__)
    recording.on_state(replace(STATE, phase=ACTING), 0)
    feed(recording, observation(0), decision(0), answer(0))
    recording.on_state(ended(TIMEOUT, 0), S)
    assert list_episodes(tmp_path) == []
    owed.remove("run-00000")
    recording.on_side(Raw("front/image_raw/video", schemas.COMPRESSED_IMAGE, 5, b"\0\1\0\0jpeg"), "run-00000", 0)
    recording.on_time(S)
    assert b"jpeg" in list_episodes(tmp_path)[0].read_bytes()
    recording.on_state(replace(STATE, episode_id="run-00001", phase=ACTING), S)
    feed(recording, replace(observation(0), episode_id="run-00001"), replace(decision(0), episode_id="run-00001"))
    recording.on_state(replace(ended(ABORTED, 0), episode_id="run-00001"), S)
    recording.on_time(2 * S)
    assert len(list_episodes(tmp_path)) == 1
    recording.on_time(3 * S)
    assert len(list_episodes(tmp_path)) == 2


def test_a_run_folder_that_is_gone_is_said_and_costs_its_episodes_only(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    recording = Recording(tmp_path / "run", RecorderParams(disk_floor_mb=10))
    (tmp_path / "run").rmdir()
    recording.on_state(replace(STATE, episode_id="run-00001"), 0)
    assert recording.trouble.startswith("run-00001 is not recorded: ") and not recording.is_recording
    (tmp_path / "run").mkdir()
    recording.on_state(replace(STATE, episode_id="run-00002"), 0)
    assert recording.trouble == ""


def test_a_label_that_cannot_be_written_is_not_told_as_an_episode_that_ended_early(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0), answer(0))
    (tmp_path / "labels").write_text("in the way")
    recording.on_state(ended(SUCCESS, 0, SAID_SUCCESS), S)
    assert recording.trouble.startswith("run-00000.mcap is whole, but what was said of it is not kept: cannot write")
    assert "run-00000" in recording.finished and read_episode(list_episodes(tmp_path)[0]).outcome == SUCCESS


def test_messages_beside_the_rows_are_kept_from_the_first_part_on(tmp_path: Path) -> None:
    """The first key frame of a video comes before the first row is whole."""
    recording = begun(tmp_path)
    picture = Raw("front/image_raw/compressed", schemas.COMPRESSED_IMAGE, 5, b"\0\1\0\0jpeg")
    recording.on_side(picture)
    feed(recording, observation(0))
    recording.on_side(replace(picture, data=b"\0\1\0\0first"))
    feed(recording, decision(0))
    recording.on_state(ended(TIMEOUT, 0), S)
    data = list_episodes(tmp_path)[0].read_bytes()
    assert b"first" in data and b"jpeg" not in data
    recording.on_state(replace(STATE, episode_id="run-00001", phase=ACTING), S)
    value = replace(observation(0), episode_id="run-00001")
    recording.on_part(value, raw(value), S)
    recording.on_side(picture)
    recording.on_state(replace(ended(ABORTED, -1), episode_id="run-00001"), S)
    assert [path.name for path in (tmp_path / "episodes").iterdir()] == ["run-00000.mcap"]


@pytest.mark.fault("F36")
def test_a_step_costs_no_more_late_in_an_episode_than_early(tmp_path: Path) -> None:
    table = StepTable("run-00000")
    looked: list[int] = []

    class Counting(dict):
        def get(self, key: int, default: Any = None) -> Any:
            looked.append(key)
            return super().get(key, default)

        def __iter__(self) -> Any:
            raise AssertionError("all rows are looked at")

    recording = begun(tmp_path)
    one = recording._open["run-00000"]
    one.table, table._rows = table, Counting()
    counts = []
    for step in range(200):
        looked.clear()
        feed(recording, observation(step), decision(step), answer(step))
        counts.append(len(looked))
    assert counts[-1] <= counts[5]


@pytest.mark.fault("F33")
def test_no_episode_is_begun_when_the_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_000_000))
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0))
    assert "1 MB free" in recording.trouble and "free some space" in recording.trouble
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1_000_000_000))
    recording.on_state(replace(STATE, phase=ACTING), 0)
    assert not recording.is_recording, "an episode that lacks its first steps is not begun"
    recording.on_state(replace(STATE, episode_id="run-00001"), 0)
    assert recording.trouble == ""


@pytest.mark.fault("F33")
def test_episode_ends_whole_and_the_next_is_recorded_when_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = begun(tmp_path)
    feed(recording, observation(0), decision(0), observation(1), decision(1))

    def full(self: EpisodeWriter) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(EpisodeWriter, "flush", full)
        feed(recording, observation(2), decision(2))
    assert "no space left" in recording.trouble and "whole steps kept" in recording.trouble
    feed(recording, observation(3), decision(3))
    recording.on_state(ended(TIMEOUT, 3), S)
    episode = read_episode(list_episodes(tmp_path)[0])
    assert episode.complete.all() and episode.steps >= 2 and "no space left" in episode.about.reason
    recording.on_state(replace(STATE, episode_id="run-00001"), S)
    assert recording.trouble == ""


def test_nothing_is_overwritten_when_the_recorder_comes_back_in_mid_episode(tmp_path: Path) -> None:
    first = begun(tmp_path)
    feed(first, observation(0), decision(0))
    first.stop("restart")
    again = begun(tmp_path)
    feed(again, observation(1), decision(1))
    again.stop("end")
    assert read_episode(list_episodes(tmp_path)[0]).about.reason == "restart"


def test_a_name_that_leaves_the_folder_or_was_used_is_refused_and_recording_goes_on(tmp_path: Path) -> None:
    recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10))
    for name, says in (
        ("../evil", "expected 1 to 64 of a-z"),
        ("a/b", "expected 1 to 64"),
        ("Run 1", "expected 1 to 64"),
    ):
        recording.on_state(EpisodeState(episode_id=name, phase="acting"), 0)
        assert says in recording.trouble and not recording.is_recording
    (tmp_path / "episodes").mkdir(exist_ok=True)
    (tmp_path / "episodes/run-00000.mcap").write_bytes(b"precious")
    recording.on_state(EpisodeState(episode_id="run-00000", phase="acting"), 0)
    assert "an episode id is used once" in recording.trouble
    recording.on_state(EpisodeState(episode_id="run-00001", phase="acting"), 0)
    assert recording.trouble == "" and (tmp_path / "episodes/run-00000.mcap").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["episodes"]


@pytest.mark.fault("F36")
def test_steps_go_on_and_wait_together_while_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step waits for the disk, however slow; those flushed meanwhile are forced to it as one."""
    release, forced = threading.Event(), list[int]()

    def slowly(writer: EpisodeWriter) -> None:
        forced.append(1)
        assert release.wait(timeout=10)

    monkeypatch.setattr(EpisodeWriter, "sync", slowly)
    with ThreadPoolExecutor(1) as pool:
        recording = Recording(tmp_path, RecorderParams(disk_floor_mb=10), pool)
        for phase in (READY, ACTING):
            recording.on_state(replace(STATE, phase=phase), 0)
        begun_s = time.monotonic()
        for step in range(50):
            feed(recording, observation(step), decision(step), answer(step))
        assert time.monotonic() - begun_s < 5.0 and len(forced) == 1 and recording.trouble == ""
        release.set()
        recording.on_state(replace(STATE, phase=HOMING, outcome=TIMEOUT, end_step=49), S)
        recording.stop("the end")
    (path,) = list_episodes(tmp_path)
    assert read_episode(path).steps == 50 and len(forced) < 10
