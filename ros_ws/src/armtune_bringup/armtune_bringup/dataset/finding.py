"""Which episodes a person means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from armtune_policies.contract import ConfigError
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.episode_reader import Episode, list_episodes
from armtune_policies.store.labels import LabelSet, check_labels, chosen_labels
from armtune_policies.store.lacking import lacking
from armtune_policies.store.views import read_views


def episode_path(named: Path) -> Path:
    """Return an episode's file: named itself, as ``<run folder>/<episode id>``, or the newest of a run folder.

    Raises:
        ConfigError: when it is none of them.
        BadData: for a run folder without an episode.
    """
    named = Path(named)
    if named.is_file():
        return named
    inside = named.parent / "episodes" / f"{named.name}.mcap"
    if inside.is_file():
        return inside
    if found := list_episodes(named):
        return found[-1]
    if named.is_dir():
        raise lacking(named)
    wanted = "an episode file, <run folder>/<episode id> or a run folder"
    raise ConfigError(f"{named}: expected {wanted}; got neither; see: armtune data ls")


def judged(run: Path, label_set: str) -> Iterator[tuple[Episode, LabelSet]]:
    """Give the episodes of a run that were not dropped, each with what a label set says of it.

    Where the set has nothing on an episode, or none is asked for, the vote counts, else its outcome.

    Raises:
        BadData: when the run has no episode that is kept.
        FileNotFoundError: when no episode has the set.
    """
    if next(kept_paths(run), None) is None:
        raise lacking(run)
    check_labels(run, label_set)
    for path in kept_paths(run):
        episode = read_kept(path)
        yield episode, chosen_labels(run, episode, label_set)


def full_size(episode: Episode) -> Episode:
    """Return the episode with its full-size views for pictures, where a step has all of them.

    Raises:
        ConfigError: when it keeps none.
    """
    views = read_views(episode.path)
    cameras = [camera for camera in episode.images if camera in views]
    if not cameras:
        raise ConfigError(f"{episode.path}: expected full-size views, got none; leave --full-size away")
    steps = set.intersection(*(set(views[camera]) for camera in cameras))
    complete = episode.complete & np.array([step in steps for step in range(episode.steps)])
    if not complete.any():
        raise ConfigError(f"{episode.path}: expected full-size views of its steps, got none; leave --full-size away")
    images = {}
    for camera in cameras:
        blank = np.zeros_like(views[camera][min(steps)])
        images[camera] = np.stack([views[camera][k] if complete[k] else blank for k in range(episode.steps)])
    return replace(episode, complete=complete, images=images)
