"""Episodes go out as LeRobot v3 and come back as they were."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from armtune_policies.contract import Verdict
from armtune_policies.datasets.lerobot_read import LeRobotFolder
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import Episode, read_episode
from armtune_policies.store.errors import BadData
from armtune_policies.store.labels import derive, live_labels, shown_labels
from fixtures.episodes import PERIOD_NS, assert_same, made

EPISODES = [made(0), made(1, steps=7, hole=None), made(2, steps=9, sentence="close the drawer")]


def exported(root: Path, episodes: list[Episode], pictures: str = "png") -> Path:
    return export([(one, shown_labels(one)) for one in episodes], root, pictures).folder


def test_episodes_are_the_same_after_files_lerobot_and_files_again(tmp_path: Path) -> None:
    files = [read_episode(write_episode(tmp_path / "a" / "episodes", one)) for one in EPISODES]
    for got, want in zip(files, EPISODES):
        assert_same(got, want)
    folder = LeRobotFolder.as_it_is(exported(tmp_path / "lerobot", files))
    back = [folder.read(at) for at in folder.placed]
    again = [read_episode(write_episode(tmp_path / "b" / "episodes", one)) for one in back]
    for got, want in zip(again, EPISODES):
        assert_same(got, want)


def test_what_is_written_is_the_format(tmp_path: Path) -> None:
    root = exported(tmp_path / "a", EPISODES)
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"]) == ("v3.0", 5, 5)  # two of ours have a hole
    assert info["total_frames"] == 11 + 7 + 8 and info["splits"] == {"train": "0:5"}
    rows = pq.read_table(root / "data/chunk-000/file-000.parquet")
    assert set(rows.column_names) == set(info["features"])
    assert rows["index"].to_pylist() == list(range(26))
    np.testing.assert_array_equal(rows["timestamp"].to_pylist()[:3], np.arange(3, dtype=np.float32) / np.float32(5))
    done, success = np.array(rows["next.done"].to_pylist()), np.array(rows["next.success"].to_pylist())
    assert list(np.flatnonzero(done)) == [3, 10, 17, 21, 25] and list(np.flatnonzero(success)) == [10, 17, 25]
    assert list(np.flatnonzero(rows["next.truncated"].to_pylist())) == [3, 21]
    assert set(np.array(rows["next.reward"].to_pylist())[~success]) == {-1.0}
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(e["dataset_from_index"], e["dataset_to_index"]) for e in episodes] == [
        (0, 4), (4, 11), (11, 18), (18, 22), (22, 26),
    ]  # fmt: skip
    gaps_ns = np.diff(rows["complementary_info.stamp_ns"].to_pylist())[np.diff(rows["episode_index"].to_pylist()) == 0]
    assert set(gaps_ns) == {PERIOD_NS}  # neighbours were neighbours
    assert pq.read_schema(root / "meta/tasks.parquet").pandas_metadata["index_columns"] == ["task"]


def test_statistics_are_those_of_the_data(tmp_path: Path) -> None:
    stats = json.loads((exported(tmp_path / "a", EPISODES) / "meta/stats.json").read_text())
    state = np.concatenate([one.state[one.complete] for one in EPISODES]).astype(np.float64)
    front = np.concatenate([one.images["front"][one.complete] for one in EPISODES]) / 255.0
    for name, want in (("mean", state.mean(0)), ("std", state.std(0)), ("min", state.min(0)), ("max", state.max(0)),
                       ("q10", np.quantile(state, 0.1, axis=0))):  # fmt: skip
        np.testing.assert_allclose(stats["observation.state"][name], want, rtol=1e-6)
    seen = stats["observation.images.front"]
    np.testing.assert_allclose(np.squeeze(seen["mean"]), front.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.squeeze(seen["std"]), front.std((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.squeeze(seen["q90"]), np.quantile(front, 0.9, axis=(0, 1, 2)), atol=1 / 255)
    assert np.shape(seen["min"]) == (3, 1, 1) and stats["index"]["count"] == [26]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_video_holds_every_frame_at_its_time(tmp_path: Path, codec: str) -> None:
    size, tall = 64, np.linspace(0, 200, 64).astype(np.uint8)[:, None, None]
    smooth = [
        replace(
            one,
            images={"front": np.stack([np.broadcast_to(tall // 2 + 8 * k, (size, size, 3)) for k in range(one.steps)])},
        )
        for one in (made(0, hole=None, steps=9), made(1, hole=None, steps=5))
    ]
    folder = LeRobotFolder.as_it_is(exported(tmp_path / "a", smooth, codec))
    for at, want in zip(folder.placed, smooth):
        got = folder.read(at).images["front"].astype(int)
        assert np.abs(got - want.images["front"]).mean(axis=(1, 2, 3)).max() < 3.0
    # SVT-AV1 made its caller a real-time thread, which stalled the whole machine: no codec of ours may.
    policies = {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}
    assert not policies & {os.SCHED_FIFO, os.SCHED_RR}


def test_a_step_nobody_judged_is_no_success_and_an_unjudged_demonstration_is_done_at_its_end(tmp_path: Path) -> None:
    one = replace(made(0, hole=None), verdicts=np.full(12, Verdict.UNKNOWN, np.uint8))
    rows = pq.read_table(exported(tmp_path / "a", [one]) / "data/chunk-000/file-000.parquet")
    assert np.flatnonzero(rows["next.terminated"].to_pylist()) == [8]  # the three after it linger
    assert np.flatnonzero(rows["next.done"].to_pylist()).tolist() == [8, 11]
    assert np.flatnonzero(np.array(rows["next.reward"].to_pylist()) == 0).tolist() == [8]  # exactly one


def test_rewards_are_those_of_the_label_set(tmp_path: Path) -> None:
    one = made(0, hole=None)
    labels = replace(live_labels(one), success_step=7)
    rows = pq.read_table(export([(one, labels)], tmp_path / "a").folder / "data/chunk-000/file-000.parquet")
    got, want = np.array(rows["complementary_info.is_judged"].to_pylist()), derive(one, labels)
    assert np.flatnonzero(got).tolist() == want.steps.tolist() == [0, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(np.array(rows["next.reward"].to_pylist())[got], want.reward)
    np.testing.assert_array_equal(np.array(rows["next.terminated"].to_pylist())[got], want.terminated)
    assert set(np.array(rows["next.reward"].to_pylist())[~got]) == {-1.0}


def test_an_episode_without_a_whole_step_is_left_out_and_counted(tmp_path: Path) -> None:
    empty = replace(made(1), complete=np.zeros(12, bool))
    done = export([(one, shown_labels(one)) for one in (empty, made(0), empty)], tmp_path / "a")
    assert (done.episodes, done.empty, done.frames) == (1, 2, 11)


def short(index: int, steps: int = 2) -> Episode:
    one = made(index, hole=None)
    return replace(one, complete=np.arange(12) < steps)


@pytest.mark.parametrize("pictures", ["png", "h264"])
def test_a_short_first_episode_does_not_set_the_rate(tmp_path: Path, pictures: str) -> None:
    done = export([(one, shown_labels(one)) for one in (short(0), made(1, hole=None))], tmp_path / "a", pictures)
    rows = pq.read_table(done.folder / "data/chunk-000/file-000.parquet").to_pylist()
    assert done.fps == 5 and [round(row["timestamp"], 3) for row in rows[:4]] == [0.0, 0.2, 0.0, 0.2]
    with pytest.raises(BadData, match="stamps: expected three whole steps in some episode, for the rate, got none"):
        export([(short(0), shown_labels(short(0)))], tmp_path / "b", pictures)


@pytest.mark.parametrize(("hz", "fps"), [(7.5, 7.5), (12.5, 12.5), (29.9, 30), (6.0, 6)])
def test_a_rate_is_what_it_is(tmp_path: Path, hz: float, fps: float) -> None:
    one = made(0, hole=None, period_ns=round(1e9 / hz))
    done = export([(one, shown_labels(one))], tmp_path / "a")
    assert json.loads((done.folder / "meta/info.json").read_text())["fps"] == done.fps == fps
    folder = LeRobotFolder.as_it_is(done.folder)
    assert_same(folder.read(folder.placed[0]), one)
    if not float(fps).is_integer():
        with pytest.raises(BadData, match="rate: expected a whole number of steps a second for video"):
            export([(one, shown_labels(one))], tmp_path / "b", "h264")


BAD = [
    (
        [made(0), made(1, period_ns=PERIOD_NS // 2)],
        r"made-00001.mcap: stamps: expected 5 steps a second as in .*got 10",
    ),
    ([made(0), made(1, cameras=("front",))], r"observation.images.wrist: expected .* as before, got None"),
    ([made(0), made(1, size=32)], r"observation.images.front: expected .*16, 16.*, got .*32, 32"),
    ([replace(made(0), complete=np.zeros(12, bool))], r"stamps: expected three whole steps in some"),
    ([], r"episodes: expected at least one with a whole step, got none; see: armtune data check"),
]


@pytest.mark.parametrize(("episodes", "says"), BAD, ids=[says[:30] for _, says in BAD])
def test_nothing_is_there_when_episodes_do_not_fit_together(tmp_path: Path, episodes: list[Episode], says: str) -> None:
    with pytest.raises(BadData, match=says):
        exported(tmp_path / "a", episodes)
    assert [p.name for p in tmp_path.iterdir() if p.name != ".trash"] == []


def test_export_refuses_a_folder_that_is_there(tmp_path: Path) -> None:
    exported(tmp_path / "a", EPISODES[:1])
    with pytest.raises(FileExistsError, match="choose another"):
        exported(tmp_path / "a", EPISODES[:1])


def test_labels_of_another_episode_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="labels live: expected 12 steps of made-00000, got 7 of made-00001"):
        export([(EPISODES[0], live_labels(EPISODES[1]))], tmp_path / "a")
