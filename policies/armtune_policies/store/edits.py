"""What a person decided about an episode afterwards; the recorded file is never touched.

An edit is one sidecar, ``edits/<episode_id>.json``: the episode is left out, or only some of its
steps count. Steps outside are marked as incomplete, which every reader leaves out already, so that
labels keep their places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .episode_reader import Episode, list_episodes, read_episode
from .files import checked_name, read_json, trash, write_json
from .labels import LabelSet

NUMBERS = ("state", "features", "proposed", "allowed")
"""Of an episode; NaN in a hole."""


@dataclass(frozen=True)
class Edit:
    """What counts of an episode."""

    episode_id: str
    is_dropped: bool = False
    first_step: int = 0
    last_step: int | None = None
    """The last one that counts; None for the episode's own."""
    why: str = ""


def edit_path(run: Path, episode_id: str) -> Path:
    """Where an episode's edit lives.

    Raises:
        ValueError: for a name that will not do as a part of a path.
    """
    return Path(run) / "edits" / f"{checked_name(episode_id, 'episode_id')}.json"


def read_edit(run: Path, episode_id: str) -> Edit:
    """Return an episode's edit; without a sidecar all of it counts.

    Raises:
        ValueError: when the sidecar is not what it should be.
    """
    path = edit_path(run, episode_id)
    if not path.exists():
        return Edit(episode_id)
    value = read_json(path)
    known = Edit.__dataclass_fields__
    if not isinstance(value, dict) or set(value) - set(known) or value.get("episode_id") != episode_id:
        raise ValueError(f"{path}: expected an edit of {episode_id} with {', '.join(known)}; got another file")
    return Edit(**value)


def write_edit(run: Path, edit: Edit) -> Path:
    """Write an edit beside its run, whole or not at all; one that changes nothing takes the sidecar away.

    Raises:
        ValueError: for steps that are none.
    """
    last = edit.last_step
    if edit.first_step < 0 or (last is not None and last < edit.first_step):
        raise ValueError(f"{edit.episode_id}: expected first <= last, both from 0; got {edit.first_step} and {last}")
    path = edit_path(run, edit.episode_id)
    if edit != Edit(edit.episode_id, why=edit.why):
        write_json(path, asdict(edit))
    elif path.exists():
        trash(path)
    return path


def check_edit(episode: Episode, edit: Edit, labels: LabelSet) -> None:
    """Refuse an edit that leaves no whole step, or leaves out the step at which ``labels`` say that it succeeded.

    Raises:
        ValueError: saying which, and what to do.
    """
    name, end = episode.episode_id, episode.steps - 1
    last = end if edit.last_step is None else edit.last_step
    asked, goal = f"{edit.first_step}:{last}", labels.success_step
    if last > end or not edited(episode, edit).complete.any():
        raise ValueError(f"{name}: expected steps within 0:{end}, at least one of them whole; got {asked}")
    if goal is not None and not edit.first_step <= goal <= last:
        raise ValueError(
            f"{name}: expected the step of its success to count, {goal} by label set {labels.name}; got {asked}; "
            "take that in, or say first --success STEP or --failure"
        )


def edited(episode: Episode, edit: Edit) -> Episode:
    """Return the episode with the steps that do not count as holes: incomplete, without numbers and pictures."""
    cut = np.zeros(episode.steps, bool)
    cut[: edit.first_step] = True
    if edit.last_step is not None:
        cut[edit.last_step + 1 :] = True
    if not cut.any():
        return episode
    blank: dict[str, Any] = {
        name: np.where(cut[:, None], np.float32(np.nan), getattr(episode, name)) for name in NUMBERS
    }
    images = {camera: frames * ~cut[:, None, None, None] for camera, frames in episode.images.items()}
    return replace(episode, complete=episode.complete & ~cut, images=images, **blank)


def read_kept(path: Path) -> Episode:
    """Read an episode file of a run, edited.

    Raises:
        ValueError: when it, or its edit, is not what it should be.
    """
    path = Path(path)
    return edited(read_episode(path), read_edit(path.parent.parent, path.stem))


def kept_paths(run: Path) -> Iterator[Path]:
    """Give the episode files of a run that were not dropped, oldest first."""
    for path in list_episodes(run):
        if not read_edit(run, path.stem).is_dropped:
            yield path


def sidecars(run: Path, episode_id: str) -> list[Path]:
    """Return what lies beside an episode's file and is about it: label sets, its edit, its reviews."""
    run = Path(run)
    beside = (edit_path(run, episode_id), run / "audit" / f"{episode_id}.json")
    return [*sorted((run / "labels" / episode_id).glob("*.json")), *(path for path in beside if path.is_file())]
