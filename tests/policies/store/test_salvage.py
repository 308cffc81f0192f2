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


@pytest.mark.fault("F35")
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


def test_an_episode_being_recorded_is_left_alone(tmp_path: Path) -> None:
    """Another process, which may be `data check --salvage`, must not end it."""
    writer = EpisodeWriter(tmp_path, EpisodeState(episode_id="run-00000", run_id="run"))
    add_steps(writer, 2)
    command = [sys.executable, "-c", SALVAGE, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "not salvaged" in said and "is being recorded" in said
    with pytest.raises(BlockingIOError, match="is being recorded"):
        salvage(writer.part)
    add_steps(writer, 5, first=2)
    episode = read_episode(writer.close("success", 4))
    assert (episode.outcome, episode.steps) == ("success", 5) and episode.complete.all()


def test_an_abandoned_episode_is_salvaged_while_another_thread_still_forces_it_to_the_disk(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, EpisodeState(episode_id="run-00000", run_id="run"))
    add_steps(writer, 2)
    in_flight = os.dup(writer._file.fileno())  # what a call of fdatasync holds
    writer.abandon()
    assert salvage(writer.part).steps == 2
    os.close(in_flight)


def add_steps(writer: EpisodeWriter, end: int, first: int = 0) -> None:
    values = (0.0,) * 7
    for step in range(first, end):
        image = np.full((32, 32, 3), step, np.uint8)
        writer.add_step(
            observation=Observation("run-00000", step, step, {"front": image}, np.zeros(7, np.float32)),
            decision=Decision(
                step, 1, "run-00000", step, "policy", 0, "", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN
            ),
        )


SALVAGE = """
import sys
from pathlib import Path
from armtune_policies.store.salvage import salvage_folder
print(*(done.text for done in salvage_folder(Path(sys.argv[1]), finished=True)))
"""


@pytest.mark.fault("F35")
def test_one_bad_file_does_not_keep_the_others_from_being_salvaged(tmp_path: Path) -> None:
    good, _ = write_part(tmp_path)
    whole = good.read_bytes()
    bad = {"run-00001": bytes(len(whole)), "run-00002": b"no", "run-00003": whole[:9] + bytes(50) + whole[59:]}
    for name, data in bad.items():
        (tmp_path / f"{name}.mcap.part").write_bytes(data)
    done = salvage_folder(tmp_path)
    assert [(one.steps, one.path is not None, one.trouble) for one in done] == [(STEPS, True, "")] + 3 * [
        (0, False, "")
    ]
    assert len(list((tmp_path / ".trash").iterdir())) == 3 and "nothing whole in it" in done[1].text


@pytest.mark.fault("F35")
def test_blocks_of_zeros_are_where_the_tear_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file system may leave of bytes that were not forced to the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    part, ends = write_part(tmp_path)
    whole = part.read_bytes()
    path = part.with_name("run-00000.mcap")
    for begin in range(0, len(whole), 512):
        part.write_bytes(whole[:begin] + bytes(len(whole[begin : begin + 512])) + whole[begin + 512 :])
        done = salvage(part)
        assert done.steps >= sum(end <= begin for end in ends), begin
        if done.path is not None:
            assert read_episode(path).complete.sum() == done.steps
            path.unlink()


def test_an_outcome_stands_when_the_last_step_lacked_a_part_before_it(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, EpisodeState(episode_id="run-00000", run_id="run"))
    add_steps(writer, 5)
    writer.write(Observation("run-00000", 5, 5, {"front": np.zeros((32, 32, 3), np.uint8)}, np.zeros(7, np.float32)), 5)
    path = writer.close("timeout", 5, "the time is over")
    path.rename(writer.part)  # the crash came before the rename
    done = salvage(writer.part)
    assert (done.steps, done.lost) == (5, 0)
    episode = read_episode(path)
    assert (episode.outcome, episode.end_step, episode.about.reason) == ("timeout", 5, "the time is over")


def test_a_file_without_its_outcome_is_salvaged_as_its_error_advises(tmp_path: Path) -> None:
    part, _ = write_part(tmp_path)
    path = part.rename(part.with_name("run-00000.mcap"))
    with pytest.raises(ValueError, match="salvage it first"):
        read_episode(path)
    before = path.read_bytes()
    assert [done.steps for done in salvage_folder(tmp_path, finished=True)] == [STEPS]
    assert read_episode(path).outcome == "aborted" and salvage(path).steps == STEPS
    assert salvage_folder(tmp_path, finished=True) == []
    assert [kept.read_bytes() for kept in (tmp_path / ".trash").iterdir()] == [before]
    path.write_bytes(b"no episode")
    with pytest.raises(ValueError, match="expected an episode file with at least one whole step"):
        salvage(path)
    assert path.read_bytes() == b"no episode"


@pytest.mark.fault("F33")
def test_a_full_disk_costs_a_step_and_never_the_outcome(tmp_path: Path) -> None:
    """The file ends with its data; there is no room for what closes it, not even for the outcome."""
    command = [sys.executable, "-c", CLOSE, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, timeout=60, check=True)
    found = [read_episode(path) for path in sorted(tmp_path.glob("*/run-00000.mcap"))]
    assert len(found) == 7
    for episode in found:
        assert episode.steps >= 4 and episode.complete.all() and episode.outcome in ("success", "aborted")


CLOSE = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_salvage import add_steps, EpisodeState, EpisodeWriter, salvage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for room in range(0, 400, 60):
    writer = EpisodeWriter(Path(sys.argv[2]) / str(room), EpisodeState(episode_id="run-00000"))
    add_steps(writer, 5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (writer.part.stat().st_size + room, most))
    try:
        writer.close("success", 4)
    except OSError:
        salvage(writer.part, "no space left")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""

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


@pytest.mark.fault("F33")
def test_episode_ends_whole_when_the_disk_takes_no_more_bytes(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=limit, check=True)
    kept, failed_at = (int(word) for word in done.stdout.split())
    assert kept >= failed_at - 1 and kept > 10
    episode = read_episode(tmp_path / "run-00000.mcap")
    assert episode.complete.all() and episode.steps == kept and "no space left" in episode.about.reason
