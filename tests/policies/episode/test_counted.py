"""What a run came to is read off its files: the same after a kill, over as many sessions as it took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.contract import Decision, Kind, Mode
from armtune_policies.episode.counted import counted, minutes
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.files import trash
from armtune_policies.store.nouns import ABORTED, DEMONSTRATION, SOLVED, SUCCESS, TIMEOUT, EpisodeState, Observation
from armtune_policies.store.salvage import salvage_folder

S = 1_000_000_000


def acted(
    run: Path, index: int, outcome: str = TIMEOUT, direction: str = "forward", mark: str = "", boot: int = 1,
    began_ns: int = 0, steps: int = 3, purpose: str = "practice",
) -> Path:  # fmt: skip
    """Write an episode of a step a second; blank for one that was killed."""
    name = f"run-{index:05d}"
    about = EpisodeState(episode_id=name, run_id="run", index=index, direction=direction, purpose=purpose)
    writer = EpisodeWriter(run / "episodes", about)
    for step in range(steps):
        at = began_ns + step * S
        seen = Observation(name, step, at, {"front": np.zeros((4, 4, 3), np.uint8)}, np.zeros(7, np.float32))
        zeros = (0.0,) * 7
        told = Decision(at, boot, name, step, "policy", step, "v", at, Kind.TOOL_DELTA, zeros, zeros, (), "", Mode.RUN)
        writer.add_step(observation=seen, decision=told)
    if outcome:
        return writer.close(outcome, steps - 1, mark=mark)
    writer.abandon()
    return writer.part


def test_each_file_is_counted_as_practice_counts_it(tmp_path: Path) -> None:
    acted(tmp_path, 0, SUCCESS)
    acted(tmp_path, 1, SUCCESS, "backward")
    acted(tmp_path, 2, TIMEOUT, "backward")
    acted(tmp_path, 3, ABORTED, mark=SOLVED)
    acted(tmp_path, 4, SUCCESS, purpose=DEMONSTRATION)
    trash(acted(tmp_path, 5, ABORTED))
    acted(tmp_path, 6, "")
    expected = {
        "episodes": 3, "steps": 18, "solved_starts": 1, "episodes_forward": 1, "episodes_backward": 2,
        "successes_forward": 1, "successes_backward": 1,
    }  # fmt: skip
    assert counted(tmp_path) == expected
    salvage_folder(tmp_path / "episodes")
    assert counted(tmp_path) == {**expected, "steps": 21}, "the one that was on when it was killed"


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 900)), min_size=1, max_size=3))
def test_minutes_are_those_of_every_session_whatever_its_clock_began_with(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int]]
) -> None:
    run, index, seconds = tmp_path_factory.mktemp("run"), 0, 0
    for boot, (episodes, clock_s) in enumerate(told, 1):
        for number in range(episodes):
            acted(run, index, boot=boot, began_ns=(clock_s + 10 * number) * S)
            index += 1
        seconds += 10 * (episodes - 1) + 2
    assert minutes(run, 8.0) == (round(seconds / 60, 2), len(told))


def test_minutes_in_which_practice_waited_for_a_person_are_not_the_arms(tmp_path: Path) -> None:
    for index, began_s in enumerate((0, 10, 1000)):
        acted(tmp_path, index, began_ns=began_s * S)
    assert minutes(tmp_path, 60.0) == (round((2 + 8 + 2 + 2) / 60, 2), 1)
    assert minutes(tmp_path, 0.0) == (round(6 / 60, 2), 1)


def test_a_file_that_is_none_is_left_out(tmp_path: Path) -> None:
    acted(tmp_path, 0)
    (tmp_path / "episodes" / "run-00001.mcap").write_bytes(b"no MCAP file")
    assert counted(tmp_path)["episodes"] == 1 and minutes(tmp_path / "nothing", 8.0) == (0.0, 0)
