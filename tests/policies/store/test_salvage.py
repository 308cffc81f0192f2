"""A crash at any byte costs at most the step in flight."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store.episode_reader import read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import EpisodeState, Observation
from armtune_policies.store.salvage import salvage, salvage_folder

STEPS = 3


def write_part(folder: Path, steps: int = STEPS) -> tuple[Path, list[int]]:
    """An unfinished file and the offsets at which each of its steps was whole."""
    about = EpisodeState(episode_id="run-00000", run_id="run", direction="forward")
    writer = EpisodeWriter(folder, about)
    ends = []
    for step in range(steps):
        image = np.full((1, 2, 3), step, np.uint8)
        writer.write(Observation("run-00000", step, step, {"front": image}, np.zeros(7, np.float32)), step)
        values = (0.0,) * 7
        writer.write(
            Decision(step, 1, "run-00000", step, "policy", 0, "", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN),
            step,
        )
        writer.flush()
        ends.append(writer.part.stat().st_size)
        writer.write(RewardAnswer("run-00000", step, 0.5, Verdict.NO, "m", 0.0), step)
        writer.flush()
    writer.abandon()
    return writer.part, ends


def test_every_whole_step_survives_when_the_file_is_cut_at_any_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of files; what is tested is where they end
    part, ends = write_part(tmp_path)
    whole = part.read_bytes()
    path = part.with_name("run-00000.mcap")
    for cut in range(len(whole) + 1):
        part.write_bytes(whole[:cut])
        done = salvage(part)
        expected = sum(end <= cut for end in ends)
        assert (done.steps, done.lost <= 1) == (expected, True), cut
        assert (done.path is not None) is (expected > 0)
        if done.path is None:
            assert not path.exists() and not part.exists()
            for kept in (tmp_path / ".trash").iterdir():
                kept.unlink()
            continue
        episode = read_episode(path)
        assert episode.steps == expected and episode.complete.all()
        assert (episode.outcome, episode.end_step) == ("aborted", expected - 1)
        path.unlink()


def test_other_readers_open_the_file_when_it_was_salvaged(tmp_path: Path) -> None:
    part, ends = write_part(tmp_path)
    with open(part, "r+b") as file:
        file.truncate(ends[1] + 11)
    done = salvage(part, "power cut")
    assert done.path is not None
    with AnyReader([done.path]) as reader:
        topics = [connection.topic for connection, _, raw in reader.messages()]
    assert topics.count("observation") == 2
    assert "power cut" in read_episode(done.path).about.reason


def test_outcome_stands_when_only_the_end_of_the_file_was_torn(tmp_path: Path) -> None:
    part, _ = write_part(tmp_path)
    done = salvage(part)
    assert done.path is not None
    for cut in range(1, 37):  # the end of an MCAP file: DataEnd, Footer, magic
        torn = done.path.with_name("run-00000.mcap.part")
        done.path.rename(torn)
        with open(torn, "r+b") as file:
            file.truncate(torn.stat().st_size - cut)
        again = salvage(torn)
        assert (again.steps, again.lost) == (STEPS, 0)
    assert read_episode(done.path).about.reason.count("salvaged") == 1


def test_salvage_refuses_when_the_whole_file_is_there_already(tmp_path: Path) -> None:
    part, _ = write_part(tmp_path)
    part.with_name("run-00000.mcap").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="by hand"):
        salvage(part)
    assert part.with_name("run-00000.mcap").read_bytes() == b"precious"


def test_folder_is_whole_when_salvaged_twice(tmp_path: Path) -> None:
    write_part(tmp_path)
    assert [done.steps for done in salvage_folder(tmp_path)] == [STEPS]
    assert salvage_folder(tmp_path) == []


FILL = """
import sys
from pathlib import Path
import numpy as np
from armtune_policies.contract import Decision, Kind, Mode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import EpisodeState, Observation
from armtune_policies.store.salvage import salvage

writer = EpisodeWriter(Path(sys.argv[1]), EpisodeState(episode_id="run-00000"))
try:
    for step in range(1000):
        image = {"front": np.zeros((32, 32, 3), np.uint8)}
        values = (0.0,) * 7
        decision = Decision(
            step, 1, "run-00000", step, "policy", 0, "", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN
        )
        state = np.zeros(7, np.float32)
        writer.add_step(observation=Observation("run-00000", step, step, image, state), decision=decision)
except OSError as why:
    writer.abandon()
    print(salvage(writer.part, "no space left").steps, step)
"""


def test_episode_ends_whole_when_the_disk_takes_no_more_bytes(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=limit, check=True)
    kept, failed_at = (int(word) for word in done.stdout.split())
    assert kept >= failed_at - 1 and kept > 10
    episode = read_episode(tmp_path / "run-00000.mcap")
    assert episode.complete.all() and episode.steps == kept and "no space left" in episode.about.reason
