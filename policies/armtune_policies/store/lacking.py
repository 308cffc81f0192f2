"""A run folder without an episode to use: what is there instead, and how to mend it."""

from __future__ import annotations

from pathlib import Path

from .episode_reader import list_episodes
from .episode_writer import PART
from .errors import BadData


def lacking(run: Path) -> BadData:
    """Return why a folder has no episode to use."""
    run = Path(run)
    there, parts = list_episodes(run), list((run / "episodes").glob(f"*.mcap{PART}"))
    newest = there[-1].stem if there else ""
    instead = (
        (not run.exists(), "no such folder; see: armtune data ls"),
        (run.is_file(), "a file; name the run folder that has it in episodes/"),
        (run.name == "episodes", f"the folder of episodes itself; name its run folder: {run.parent}"),
        ((run / "meta/info.json").is_file(), f"a LeRobot folder; make a run of it: armtune data import {run} RUN"),
        (there, f"only dropped ones; take that back: armtune data edit {run} {newest} --keep"),
        (parts, f"only unfinished ones; let them end, or: armtune data check {run} --salvage"),
        (True, "none; record some: armtune collect, or armtune practice"),
    )
    return BadData(str(run), "episodes", "at least one", next(got for holds, got in instead if holds))
