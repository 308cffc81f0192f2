"""What goes to other people: with a card, a licence, checksums, and without what was left out."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from armtune_policies.contract import ConfigError
from armtune_policies.datasets.publish import card_of, lerobot_files, publish, run_files
from armtune_policies.store.edits import Edit, write_edit
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import Episode, list_episodes, read_episode
from armtune_policies.store.files import trash
from armtune_policies.store.labels import live_labels, write_labels
from fixtures.episodes import made


def run_of(folder: Path, *episodes: Episode) -> Path:
    for one in episodes:
        write_episode(folder / "episodes", one)
    return folder


def test_what_is_published_has_a_card_a_licence_and_checksums_that_hold(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", made(0), made(1))
    episodes = [read_episode(path) for path in list_episodes(run)]
    card = card_of(episodes, "Drawers", "cc-by-4.0", "data@example.org", 5.0, is_lerobot=False)
    folder = publish(run, run_files(run), card, tmp_path / "out")
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, timeout=30, check=False)
    assert done.returncode == 0
    head = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert head["license"] == "cc-by-4.0" and "| open the drawer | 2 |" in (folder / "README.md").read_text()
    first, second = (publish(run, run_files(run), card, tmp_path / n / "out.tar") for n in ("x", "y"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert "out/episodes/made-00000.mcap" in tar.getnames()
    with pytest.raises(FileExistsError):
        publish(run, run_files(run), card, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"licence: expected one of apache-2\.0"):
        card_of(episodes, "Drawers", "", "x", 5.0, False)


def test_what_was_dropped_set_aside_or_is_unfinished_is_not_published(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", *(made(index) for index in range(4)))
    for index in range(3):
        write_labels(run, replace(live_labels(made(index)), name="person"))
    write_edit(run, Edit("made-00001", is_dropped=True, why="a face is seen"))
    trash(run / "episodes/made-00002.mcap")
    (run / "episodes/made-00003.mcap").rename(run / "episodes/made-00003.mcap.part")
    (run / "episodes/made-00000.mp4").write_bytes(b"a replay")
    card = card_of([made(0)], "Drawers", "cc-by-4.0", "data@example.org", 5.0, is_lerobot=False)
    publish(run, run_files(run), card, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        got = sorted(name.removeprefix("out/") for name in tar.getnames())
        sums = tar.extractfile("out/SHA256SUMS")
        assert sums is not None and [line.split()[1] for line in sums.read().decode().splitlines()] == [
            name for name in got if name != "SHA256SUMS"
        ]
    assert got == ["README.md", "SHA256SUMS", "episodes/made-00000.mcap", "labels/made-00000/person.json"]
    for name in ("meta/info.json", "meta/.trash/info.json.1", "data/.file.part", "videos/.trash/a.mp4"):
        (tmp_path / "lerobot" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lerobot" / name).write_bytes(b"x")
    assert lerobot_files(tmp_path / "lerobot") == [tmp_path / "lerobot/meta/info.json"]


def test_a_tar_needs_no_room_beside_it_and_a_packed_one_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "out", made(0))
    card = card_of([made(0)], "Drawers", "cc-by-4.0", "data@example.org", 5.0, is_lerobot=False)
    publish(run, run_files(run), card, tmp_path / "out.tar")  # beside a folder of its name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.tar"]
    with pytest.raises(ConfigError, match=r"out.tar.gz: expected a new folder or a .tar, got .gz"):
        publish(run, run_files(run), card, tmp_path / "out.tar.gz")


@pytest.mark.fault("F57")
def test_link_that_leads_out_of_a_run_is_not_given_away(tmp_path: Path) -> None:
    run, secret = run_of(tmp_path / "a", made(0)), tmp_path / "secret.json"
    secret.write_text("{}")
    (run / "labels/made-00000").mkdir(parents=True)
    (run / "labels/made-00000/mine.json").symlink_to(secret)
    card = card_of([made(0)], "Drawers", "cc-by-4.0", "data@example.org", 5.0, is_lerobot=False)
    with pytest.raises(ConfigError, match=r"mine\.json: expected a file of .*, got a link to .*secret"):
        publish(run, run_files(run), card, tmp_path / "out")
    assert not (tmp_path / "out").exists()
