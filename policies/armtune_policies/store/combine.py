"""Runs put together as one, after a look at whether they belong together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .edits import kept_paths, sidecars
from .episode_reader import Episode, read_episode
from .episode_writer import PART
from .errors import BadData
from .files import copy_whole, whole_folder
from .lacking import lacking
from .rate import OneRate


@dataclass
class Alike:
    """Refuses an episode that is not like those before it: another rate, other cameras, an id used twice."""

    rate: OneRate = field(default_factory=OneRate)
    seen: dict[str, Path] = field(default_factory=dict)
    cameras: dict[str, tuple[int, ...]] = field(default_factory=dict)
    first: Path | None = None
    observation: str = ""

    def check(self, episode: Episode) -> None:
        """Compare an episode with those before it.

        Raises:
            BadData: naming both files.
        """
        path, name = str(episode.path), episode.episode_id
        if name in self.seen:
            got = f"{name}, which is also {self.seen[name]}; name a run once, or import it under another --name"
            raise BadData(path, "episode_id", "a name of its own", got)
        self.seen[name] = episode.path
        self.rate.check(episode)
        cameras = {camera: frames.shape[1:] for camera, frames in episode.images.items()}
        if self.first is None:
            self.first, self.cameras, self.observation = episode.path, cameras, episode.observation_digest
        if cameras != self.cameras:
            got = f"{_sizes(cameras)}; keep unlike cameras in runs of their own"
            raise BadData(path, "cameras", f"{_sizes(self.cameras)} as in {self.first}", got)
        both = (self.observation, episode.observation_digest)
        if all(both) and len(set(both)) > 1:
            wanted = f"the one of {self.first}: {both[0][:12]}"
            got = f"{both[1][:12]}; keep episodes of unlike policies in runs of their own"
            raise BadData(path, "observation spec", wanted, got)


def merge(runs: Sequence[Path], into: Path, on_episode: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Make one run of several; the first look at all episodes, then copy: all, or nothing.

    Labels, edits and reviews come along; what was dropped stays behind. Files are linked where the disk can, else
    copied.

    Returns:
        How many episodes it has.

    Raises:
        BadData: for an id used twice, episodes of another rate, cameras or observation, one that is unfinished, a
            folder that is not there, or no episode at all.
        FileExistsError: when ``into`` is there already.
        OSError: when the disk refuses.
    """
    for run in runs:
        for part in sorted((run / "episodes").glob(f"*.mcap{PART}")):
            mend = f"this; let it end, or: armtune data check {run} --salvage"
            raise BadData(str(part), "episode", "a finished one", mend)
    paths = [(run, path) for run in runs for path in kept_paths(run)]
    for run, path in paths:
        for one in (path, *sidecars(run, path.stem)):
            if not one.resolve().is_relative_to(run.resolve()):
                raise BadData(str(one), "file", f"one of {run}", f"a link to {one.resolve()}")
    if bare := [run for run in runs if not paths or not run.is_dir()]:
        raise lacking(bare[0])
    alike = Alike()
    for done, (_, path) in enumerate(paths, 1):
        alike.check(read_episode(path))
        on_episode(done, len(paths))
    with whole_folder(into) as part:
        (part / "episodes").mkdir()
        for run, path in paths:
            _link(path, part / "episodes" / path.name)
            for beside in sidecars(run, path.stem):
                target = part / beside.relative_to(run)
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_whole(beside, target)
    return len(paths)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        copy_whole(source, target)


def _sizes(cameras: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {size[0]}x{size[1]}" for name, size in sorted(cameras.items())) or "none"
