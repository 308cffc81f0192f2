"""Runs are merged when they belong together, and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armtune_policies.store.combine import merge
from armtune_policies.store.edits import Edit, write_edit
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import Episode, read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.errors import BadData
from armtune_policies.store.integrity import check_run
from armtune_policies.store.labels import live_labels, read_labels, write_labels
from armtune_policies.store.nouns import EpisodeState
from fixtures.episodes import PERIOD_NS, assert_same, made


def run_of(folder: Path, *episodes: Episode) -> Path:
    for one in episodes:
        write_episode(folder / "episodes", one)
    return folder


def test_merged_runs_keep_episodes_labels_edits_and_reviews_of_what_counts(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a", made(0), made(1)), run_of(tmp_path / "b", made(0, run="other"))
    write_labels(b, replace(live_labels(made(0, run="other")), name="person"))
    (b / "audit").mkdir()
    (b / "audit/other-00000.json").write_text("[]")
    write_edit(a, Edit("made-00001", is_dropped=True))
    write_edit(a, Edit("made-00000", first_step=1))
    (a / "episodes/made-00001.mcap").write_bytes(b"damaged, and nobody reads it")
    assert merge([a, b], tmp_path / "c") == 2
    last = read_episode(tmp_path / "c/episodes/other-00000.mcap")
    assert_same(last, made(0, run="other"))
    assert read_labels(tmp_path / "c", last, "person").name == "person"
    found = sorted(path.relative_to(tmp_path / "c").as_posix() for path in (tmp_path / "c").rglob("*.*"))
    assert found == ["audit/other-00000.json", "edits/made-00000.json", "episodes/made-00000.mcap",
                     "episodes/other-00000.mcap", "labels/other-00000/person.json"]  # fmt: skip
    (b / "episodes/other-00001.mcap.part").write_bytes(b"")
    with pytest.raises(BadData, match=r"other-00001.mcap.part: episode: expected a finished one, got this"):
        merge([a, b], tmp_path / "d")


BAD = [
    (made(0), r"episode_id: expected a name of its own, got made-00000, which is also .*a/episodes/made-00000.mcap"),
    (made(0, run="b", period_ns=PERIOD_NS // 6), r"b-00000.mcap: stamps: expected 5 steps a second as in .*, got 30"),
    (made(0, run="b", cameras=("front",)), r"cameras: expected front 16x16, wrist 16x16 as in .*, got front 16x16"),
    (made(0, run="b", size=32), r"cameras: expected front 16x16, wrist 16x16 as in .*, got front 32x32, wrist 32x32"),
    (replace(made(0, run="b"), observation_digest="p"), r"observation spec: expected the one of .*: o, got p"),
]


@pytest.mark.parametrize(("other", "says"), BAD, ids=[says[:24] for _, says in BAD])
def test_runs_that_do_not_belong_together_are_refused_and_nothing_is_made(
    tmp_path: Path, other: Episode, says: str
) -> None:
    a, b = run_of(tmp_path / "a", made(0)), run_of(tmp_path / "b", other)
    with pytest.raises(BadData, match=says):
        merge([a, b], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_check_finds_what_is_wrong_and_what_is_doubtful(tmp_path: Path) -> None:
    late = made(1, hole=None)
    stamps = late.stamps_ns.copy()
    stamps[6:] += 3 * PERIOD_NS
    back = made(2, hole=None)
    went = back.stamps_ns.copy()
    went[5:] -= 3_600_000_000_000  # an hour
    run = run_of(tmp_path, made(0), replace(late, stamps_ns=stamps), replace(back, stamps_ns=went))
    (run / "episodes/made-00003.mcap").write_bytes((run / "episodes/made-00000.mcap").read_bytes())
    (run / "episodes/made-00004.mcap").write_bytes((run / "episodes/made-00000.mcap").read_bytes()[:3000])
    (run / "episodes/made-00005.mcap.part").write_bytes(b"")
    found = {one.episode: one for one in check_run(run)}
    assert found["made-00000"].doubtful == ["1 of 12 steps lack a part"] and not found["made-00000"].wrong
    assert found["made-00001"].doubtful == ["1 steps came late"] and found["made-00001"].rate_hz == 5.0
    assert "goes back" in found["made-00002"].doubtful[0] and found["made-00002"].rate_hz == 5.0
    assert "expected a file named made-00000.mcap" in found["made-00003"].wrong[0]
    assert "expected" in found["made-00004"].wrong[0] and "unfinished" in found["made-00005"].wrong[0]


def test_check_finds_changed_bytes_and_asks_nothing_of_what_was_dropped(tmp_path: Path) -> None:
    run = run_of(tmp_path, made(0, hole=None, size=64), made(1, hole=None, size=64))
    path = run / "episodes/made-00000.mcap"
    data = bytearray(path.read_bytes())
    at = data.index(made(0, hole=None, size=64).images["front"][6, 20].tobytes())
    data[at] ^= 0x80  # one pixel: the file still reads
    path.write_bytes(data)
    (run / "episodes/made-00001.mcap").write_bytes(b"no")
    write_edit(run, Edit("made-00001", is_dropped=True))
    first, second = check_run(run)
    assert first.wrong == ["bytes changed after it was written: its checksum is another"]
    assert second.wrong == [] and second.is_dropped and "expected an MCAP file" in second.doubtful[0]


def test_check_says_what_is_being_recorded_now(tmp_path: Path) -> None:
    run = run_of(tmp_path, made(0))
    writer = EpisodeWriter(run / "episodes", EpisodeState(episode_id="made-00001"))
    one = check_run(run)[-1]
    assert (one.wrong, one.doubtful) == ([], ["is being recorded now"])
    writer.abandon()
    assert "unfinished" in check_run(run)[-1].wrong[0]


def test_gaps_of_one_camera_do_not_hide(tmp_path: Path) -> None:
    still = made(0, hole=None)
    frozen = {**still.images, "wrist": np.repeat(still.images["wrist"][:1], still.steps, axis=0)}
    (one,) = check_run(run_of(tmp_path, replace(still, images=frozen)))
    assert one.doubtful == ["camera wrist shows the same picture in 11 steps"]


@pytest.mark.fault("F57")
def test_link_that_leads_out_of_a_run_is_not_merged(tmp_path: Path) -> None:
    run, secret = run_of(tmp_path / "a", made(0)), tmp_path / "secret.json"
    secret.write_text("{}")
    (run / "labels/made-00000").mkdir(parents=True)
    (run / "labels/made-00000/mine.json").symlink_to(secret)
    with pytest.raises(BadData, match=r"mine\.json: file: expected one of .*, got a link to .*secret"):
        merge([run], tmp_path / "b")
    assert not (tmp_path / "b").exists()
