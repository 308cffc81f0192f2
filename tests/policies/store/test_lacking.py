"""A folder without an episode to use says what it is instead, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armtune_policies.store.edits import Edit, write_edit
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.lacking import lacking
from fixtures.episodes import made


def _episode(run: Path) -> Path:
    return write_episode(run / "episodes", made(0))


def _is_dropped(run: Path) -> Path:
    write_edit(run, Edit(_episode(run).stem, is_dropped=True))
    return run


def _is_torn(run: Path) -> Path:
    path = _episode(run)
    path.rename(path.with_name(f"{path.name}.part"))
    return run


def _is_lerobot(run: Path) -> Path:
    (run / "meta").mkdir(parents=True)
    (run / "meta/info.json").write_text("{}")
    return run


def _is_empty(run: Path) -> Path:
    run.mkdir()
    return run


@pytest.mark.parametrize(
    ("make", "got"),
    (
        (lambda run: run, "no such folder; see: armtune data ls"),
        (_episode, "a file; name the run folder that has it in episodes/"),
        (lambda run: _episode(run).parent, "the folder of episodes itself; name its run folder: RUN"),
        (_is_lerobot, "a LeRobot folder; make a run of it: armtune data import RUN RUN"),
        (_is_dropped, "only dropped ones; take that back: armtune data edit RUN made-00000 --keep"),
        (_is_torn, "only unfinished ones; let them end, or: armtune data check RUN --salvage"),
        (_is_empty, "none; record some: armtune collect, or armtune practice"),
    ),
)
def test_folder_says_what_it_is_instead_and_what_mends_it(
    tmp_path: Path, make: Callable[[Path], Path], got: str
) -> None:
    run = tmp_path / "shown"
    named = make(run)
    wanted = f"{named}: episodes: expected at least one, got {got}"
    assert str(lacking(named)).replace(str(run), "RUN") == wanted.replace(str(run), "RUN")
