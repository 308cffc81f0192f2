"""LeRobot v3 folders become the same trajectories as episode files; what does not fit is refused by name."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "learn"))

from dots import ACTION, BACK, GO, SPEC, episode
from lerobot_writer import CAMERA, write_folder

from armtune_policies.contract import Verdict
from armtune_policies.datasets.lerobot_read import LeRobotFolder, is_lerobot
from armtune_policies.learn.episodes import as_trajectory
from armtune_policies.learn.trajectory import BadData
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import shown_labels

EPISODES = [episode(1, GO), episode(2, GO, fails=True), episode(3, BACK)]


def read(root: Path) -> list[Episode]:
    folder = LeRobotFolder(root, ACTION, SPEC)
    return [folder.read(at) for at in folder.placed]


@pytest.mark.parametrize("video", [False, True], ids=["png", "mp4"])
def test_a_folder_gives_what_was_written(tmp_path: Path, video: bool) -> None:
    assert not is_lerobot(tmp_path)
    found = read(write_folder(tmp_path / "a", EPISODES, video=video))
    assert is_lerobot(tmp_path / "a") and [one.sentence for one in found] == [GO, GO, BACK]
    for one, was in zip(found, EPISODES):
        np.testing.assert_array_equal(one.state, was.state)
        np.testing.assert_array_equal(one.allowed, was.allowed)
        gap = np.abs(one.images["front"].astype(int) - was.images["front"])
        assert gap.max() == 0 if not video else gap.mean() < 6.0  # chroma is halved in yuv420p
        assert one.images["front"].dtype == np.uint8 and abs(one.stamps_ns[1] - 200_000_000) < 100


def test_an_unjudged_folder_makes_the_trajectories_of_the_same_episode_files(tmp_path: Path) -> None:
    one, was = read(write_folder(tmp_path / "a", EPISODES))[0], EPISODES[0]
    seen = np.random.default_rng(0).normal(size=(was.steps, 3)).astype(np.float32)
    got, want = (as_trajectory(e, ACTION, (GO, BACK), "", seen, shown_labels(e)) for e in (one, was))
    for name in ("features", "state", "action", "reward", "terminated", "follows", "is_step", "sentence", "imitate"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))


@pytest.mark.parametrize(("key", "good", "bad"), [
    ("next.success", 1.0, 0.0), ("next.reward", 0.0, -1.0), ("next.reward", 1.0, 0.0), ("next.terminated", 1.0, 0.0),
])  # fmt: skip
def test_success_is_what_the_folder_says(tmp_path: Path, key: str, good: float, bad: float) -> None:
    values = [[bad] * one.steps for one in EPISODES]
    values[0][3] = values[0][4] = good
    first, second, _ = read(write_folder(tmp_path / "a", EPISODES, columns={key: values}))
    assert (first.outcome, first.end_step, first.steps) == ("success", 3, 4)
    assert (second.outcome, second.steps) == ("timeout", EPISODES[1].steps)
    made = as_trajectory(first, ACTION, (GO, BACK), "", np.zeros((4, 1), np.float32), shown_labels(first))
    assert made.reward.tolist() == [-1.0, -1.0, -1.0, 0.0] and made.terminated.tolist() == [False, False, False, True]
    assert (second.verdicts == Verdict.NO).all()


def test_larger_pictures_are_shrunk_as_live_ones_are(tmp_path: Path) -> None:
    big = replace(EPISODES[0], images={"front": EPISODES[0].images["front"].repeat(2, axis=1).repeat(2, axis=2)})
    found = read(write_folder(tmp_path / "a", [big]))[0]
    np.testing.assert_array_equal(found.images["front"], EPISODES[0].images["front"])


def edit(root: Path, change: Any) -> None:
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


INFO = [
    (lambda i: i.update(codebase_version="v2.1"), r"info.json: codebase_version: expected v3.x .*, got v2.1"),
    (lambda i: i.update(fps=30), r"info.json: fps: expected 5, the rate of the policy, got 30"),
    (lambda i: i["features"].update({"observation.effort": {}}), r"observation.effort: expected one of the keys"),
    (lambda i: i["features"].pop(CAMERA), r"observation.images.front: expected this key, got none"),
    (lambda i: i["features"]["action"].update(shape=[6]), r"action: expected shape \[7\], got \[6\]"),
    (lambda i: i["features"]["action"].update(names=list("abcdefg")), r"action names: expected dx, dy, .*, got \['a'"),
    (lambda i: i.update(data_path="../{chunk_index}{file_index}"), r"data_path: expected a path inside the folder"),
    (lambda i: i.pop("data_path"), r"data_path: expected a path with chunk_index and file_index, got 'data_path'"),
]


@pytest.mark.parametrize(("change", "says"), INFO, ids=[says[:24] for _, says in INFO])
def test_metadata_that_does_not_fit_is_refused_by_key(tmp_path: Path, change: Any, says: str) -> None:
    root = write_folder(tmp_path / "a", EPISODES)
    edit(root, change)
    with pytest.raises(BadData, match=says):
        read(root)


def column(key: str, values: list[Any]) -> Any:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(key), key, pa.array(values))

    return change


COUNT = EPISODES[0].steps
BAD = np.zeros((COUNT, 7))
BAD[2, 3] = np.nan
ROWS = [
    (column("observation.state", BAD.tolist()), r"observation.state: expected finite numbers, got .*nan.* in row 2"),
    (column("action", [*[[0.0] * 7] * (COUNT - 1), [0.0] * 6]), r"action: expected 7 numbers a row, got 6 in row"),
    (column("action", [None, *[[0.0] * 7] * (COUNT - 1)]), r"action: expected 7 numbers a row, got none in row 0"),
    (column("frame_index", [0, 2, *range(2, COUNT)]), r"frame_index: expected 1 in row 1, got 2"),
    (column("task_index", [0] * (COUNT - 1) + [1]), r"task_index: expected one of \[0\] throughout, got \[0, 1\]"),
    (lambda t: t.slice(1), rf"length: expected {COUNT} rows, at least one, got {COUNT - 1}"),
    (lambda t: t.slice(0, 0), rf"length: expected {COUNT} rows, at least one, got 0"),
    (lambda t: t.drop_columns(["timestamp"]), r"timestamp: expected a column, got none"),
    (column(CAMERA, [{"bytes": b"no"}] * COUNT), r"images.front: expected a PNG or JPEG.*, got damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), ROWS, ids=[says[:30] for _, says in ROWS])
def test_rows_that_do_not_fit_are_refused_by_file_episode_and_key(tmp_path: Path, change: Any, says: str) -> None:
    root = write_folder(tmp_path / "a", EPISODES[:1])
    path = root / "data/chunk-000/file-000.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(BadData, match=rf"file-000.parquet episode 0: (observation\.)?{says}"):
        read(root)


def test_rewards_of_another_kind_are_refused(tmp_path: Path) -> None:
    values = [[0.1 * row for row in range(one.steps)] for one in EPISODES]
    with pytest.raises(BadData, match=r"next.reward: expected -1 and 0, or 0 and 1, got"):
        read(write_folder(tmp_path / "a", EPISODES, columns={"next.reward": values}))


def test_a_rate_that_changes_is_refused_when_learnt_from(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "a", EPISODES[:1], fps=10)
    edit(root, lambda info: info.update(fps=5))
    one = read(root)[0]
    with pytest.raises(BadData, match=r"stamps: expected a step every 0.2 s, got every 0.1 s"):
        as_trajectory(one, ACTION, (GO, BACK), "", np.zeros((one.steps, 1), np.float32), shown_labels(one))


def test_a_damaged_or_short_video_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "a", EPISODES[:1], video=True)
    path = next(root.rglob("*.mp4"))
    path.write_bytes(b"nothing")
    with pytest.raises(BadData, match=r"file-000.mp4 episode 0: observation.images.front: expected a video file"):
        read(root)
    longer = write_folder(tmp_path / "b", EPISODES[1:2], video=True)
    shorter = write_folder(tmp_path / "c", EPISODES[:1], video=True)
    next(longer.rglob("*.mp4")).write_bytes(next(shorter.rglob("*.mp4")).read_bytes())
    with pytest.raises(BadData, match=rf"observation.images.front: expected {EPISODES[1].steps} frames, got {COUNT}"):
        read(longer)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "a", EPISODES[:1])
    (root / "meta/tasks.parquet").write_bytes(b"nothing")
    with pytest.raises(BadData, match=r"tasks.parquet: file: expected a parquet file"):
        read(root)
