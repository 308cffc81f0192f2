"""Where episodes come from: run folders of episode files, LeRobot v3 folders, and selections out of either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from armtune_policies.contract import ActionSpec, ObservationSpec, digest, file_digest
from armtune_policies.datasets.lerobot_read import LeRobotFolder, Pieces, is_lerobot
from armtune_policies.store.edits import edit_path, kept_paths, read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import read_json
from armtune_policies.store.labels import as_judged

from .trajectory import BadData

SELECTION = "selection"


@dataclass(frozen=True)
class Source:
    """One episode that can be read."""

    name: str
    """Of its file, or of its place in a LeRobot folder."""
    folder: Path
    """Run or LeRobot folder, where its label sets are."""
    read: Callable[[], Episode]
    digest: Callable[[], str]
    """Names its bytes; reads them."""


def sources(path: Path, action: ActionSpec, observation: ObservationSpec) -> list[Source]:
    """Return the episodes of a run folder, of a LeRobot v3 folder, or those a selection file keeps, in order.

    Args:
        path: Folder or file; which of them it is, it says itself.
        action: What a LeRobot folder's actions must mean.
        observation: Cameras and size that a LeRobot folder's pictures are brought to.

    Raises:
        BadData: when a LeRobot folder or a selection will not do.
        ValueError: when there are no episodes.
    """
    path = Path(path)
    if path.is_file():
        return _selected(path, action, observation)
    if is_lerobot(path):
        folder = LeRobotFolder(path, action, observation)
        whole = lru_cache(maxsize=1)(partial(_folder_digest, path))
        return [
            Source(f"{path.name}-{at[0].index:06d}", path, partial(_as_told, folder, at), lambda: whole())
            for at in folder.placed
        ]
    if found := list(kept_paths(path)):
        return [Source(file.name, path, partial(read_kept, file), partial(_file_digest, file)) for file in found]
    raise ValueError(f"{path}: no episodes to learn from; collect some: armtune collect")


def _selected(path: Path, action: ActionSpec, observation: ObservationSpec) -> list[Source]:
    value: dict[str, Any] = read_json(path)
    if not isinstance(value, dict) or value.get("kind") != SELECTION:
        raise BadData(str(path), "kind", f"{SELECTION!r}, as `armtune data select` writes it", "another file")
    kept = [str(row["name"]) for row in value["episodes"] if row["is_kept"]]
    there = {one.name: one for one in sources(path.parent / value["prior"], action, observation)}
    if missing := [name for name in kept if name not in there]:
        raise BadData(str(path), "episodes", f"episodes of {value['prior']}", f"{missing[0]}, which is not there")
    if not kept:
        raise BadData(str(path), "episodes", "at least one that is kept", "none")
    return [there[name] for name in kept]


def _as_told(folder: LeRobotFolder, at: Pieces) -> Episode:
    """Read an episode of a LeRobot folder as the folder judges it, whoever did."""
    episode = folder.read(at)
    return as_judged(episode, folder.labels(at, episode))


def _file_digest(file: Path) -> str:
    """Name an episode file's content, and what counts of it where it was edited."""
    edit = edit_path(file.parent.parent, file.stem)
    return digest([file_digest(file), file_digest(edit)]) if edit.exists() else file_digest(file)


def _folder_digest(folder: Path) -> str:
    """Name a LeRobot folder's content; label sets beside it are not of it."""
    parts = ("meta", "data", "videos")
    files = sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file())
    return digest([[str(path.relative_to(folder)), file_digest(path)] for path in files])
