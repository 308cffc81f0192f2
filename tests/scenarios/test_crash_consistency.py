"""The files a robot's run and a training cannot do without, their writer killed: what was there before, or the new one.

A row for each writer: how the state before is made, how the next one is written, and how it is read again, as the
product does when it starts (``fixtures.writers``). Of a file that only grows a death costs no more than the line or
step in flight.

What is thinned: of writes one after another only the first, second, fourth, eighth ... is a death; other calls all are.
What is not seen: writes within libraries in C, as of pyarrow, HDF5 and PyAV: of what they make only the flushes and
renames around it count. What has no row: LeRobot folders, places of grasps, a training's curve, views and sessions of a
calibration, results and pictures of evaluations, studies and the demo, the pieces a workstation fetches, the console's
events. All but the last two go through the same ``store.files``; fetching is killed in ``policies/transfer``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.salvage import salvage_folder
from armtune_policies.store.series import Series
from fixtures.crashing import Death, every_death
from fixtures.episodes import made
from fixtures.writers import WRITERS

pytestmark = pytest.mark.unhurried

DEATHS: tuple[Death, ...] = ("kill", "power", "late")


def _episode(run: Path, n: int) -> object:
    return write_episode(run / "episodes", made(n, steps=3 + n, hole=None, cameras=("front",)))


def _read_episodes(run: Path) -> object:
    """As a recorder begins: what is unfinished is salvaged first."""
    salvage_folder(run / "episodes")
    assert not list((run / "episodes").glob("*.part"))
    found = [read_episode(path) for path in list_episodes(run)]
    assert all(one.complete.all() for one in found)
    return {one.episode_id: one.steps for one in found}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the states before needs no real disk either."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


@pytest.mark.fault("F34")
@pytest.mark.parametrize("name", WRITERS)
def test_writer_that_dies_leaves_the_old_or_the_new(name: str, tmp_path: Path) -> None:
    writer, before, after = WRITERS[name], tmp_path / "before", tmp_path / "after"
    before.mkdir()
    writer.write(before, 0)
    shutil.copytree(before, after)
    writer.write(after, 1)
    allowed = [writer.read(before), writer.read(after)]
    assert allowed[0] != allowed[1] and allowed[1]

    def check(left: Path) -> None:
        found = writer.read(left)
        assert found in allowed, f"{found} is neither {allowed[0]} nor {allowed[1]}"
        writer.write(left, 1) if found == allowed[0] else None
        assert writer.read(left) == allowed[1], "the next try does not mend it"

    assert every_death(lambda folder: writer.write(folder, 1), before, check, DEATHS) >= 3 * 2


@pytest.mark.fault("F35")
def test_recorder_that_dies_keeps_finished_episodes_and_whole_steps(tmp_path: Path) -> None:
    before = tmp_path / "before"
    _episode(before, 0)

    def check(left: Path) -> None:
        found = _read_episodes(left)
        assert found.pop("made-00000") == 3 and found.pop("made-00001", 0) in range(5) and not found

    assert every_death(lambda run: _episode(run, 1), before, check, ("kill", "power")) > 30


@pytest.mark.fault("F35")
def test_salvage_that_dies_is_done_by_the_next_one(tmp_path: Path) -> None:
    before = tmp_path / "before"
    _episode(before, 0)
    whole = before / "episodes/made-00000.mcap"
    whole.rename(whole.with_name("made-00000.mcap.part"))
    os.truncate(whole.with_name("made-00000.mcap.part"), whole.with_name("made-00000.mcap.part").stat().st_size - 400)

    def check(left: Path) -> None:
        assert _read_episodes(left) in ({"made-00000": 2}, {"made-00000": 3})

    # a power cut in the midst may tear the end that was being written; the steps before it were forced long ago
    every_death(lambda run: salvage_folder(run / "episodes"), before, check, ("kill",))


def test_table_that_grows_loses_only_its_last_line(tmp_path: Path) -> None:
    before = tmp_path / "before"
    with contextlib.closing(Series(before / "t.csv", ("a", "b"))) as table:
        table.append((0, 0))

    def append(folder: Path) -> None:
        with contextlib.closing(Series(folder / "t.csv", ("a", "b"))) as table:
            for row in range(1, 4):
                table.append((row, row))

    def check(left: Path) -> None:
        Series(left / "t.csv", ("a", "b")).close()
        rows = (left / "t.csv").read_text().splitlines()
        assert rows == ["a,b", "0,0", "1,1", "2,2", "3,3"][: len(rows)] and len(rows) >= 2

    every_death(append, before, check, DEATHS)
