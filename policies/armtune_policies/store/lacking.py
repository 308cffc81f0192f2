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
    instead = {
        "no such folder; see: armtune data ls": not run.exists(),
        "a file; name the run folder that has it in episodes/": run.is_file(),
        f"the folder of episodes itself; name its run folder: {run.parent}": run.name == "episodes" and run.is_dir(),
        f"a LeRobot folder; make a run of it: armtune data import {run} RUN": (run / "meta/info.json").is_file(),
        f"only dropped ones; take that back: armtune data edit {run} {there[-1].stem if there else ''} --keep": there,
        f"only unfinished ones; let them end, or: armtune data check {run} --salvage": parts,
    }
    none = "none; record some: armtune collect, or armtune practice"
    return BadData(str(run), "episodes", "at least one", next((got for got, holds in instead.items() if holds), none))
