"""An operator's labels of practice: a page to flip frames on, what it saved, or steps named on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError, Verdict
from armtune_policies.reward.sheet import Labelled, apply_labels, labels_of, page
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import write_whole
from armtune_policies.store.labels import read_labels, write_labels


def write_page(run: Path, out: Path, start: str, label_set: str, config: Config) -> tuple[Path, int]:
    """Write the contact sheet of a run's episodes; return where, and how many episodes it shows.

    Raises:
        ConfigError: when the run has no episodes.
        OSError: when the disk refuses.
    """
    rows = []
    for episode in _episodes(run).values():
        try:
            verdicts = read_labels(run, episode, start).verdicts
        except FileNotFoundError:
            verdicts = (Verdict.UNKNOWN,) * episode.steps
        rows.append(Labelled(episode, verdicts))
    write_whole(out, page(rows, label_set, config.policy.cameras[0]).encode())
    return out, len(rows)


def apply_page(saved: Path, run: Path, config: Config) -> list[Path]:
    """Store what a page saved.

    Raises:
        ValueError: when it is not such a file, or of another run.
    """
    return apply_labels(saved, run, _episodes(run), config.episode.vote_need, config.episode.vote_window)


def label_episode(run: Path, episode_id: str, label_set: str, yes: str, unknown: str, config: Config) -> Path:
    """Label one episode: the steps named are yes or unknown, the others no.

    Args:
        run: The run's folder.
        episode_id: Which episode.
        label_set: What the labels are called.
        yes: Steps, as in "31-40,44".
        unknown: The same.
        config: Says the vote that finds the success.

    Raises:
        ConfigError: for an unknown episode, or steps that it has not.
    """
    episodes = _episodes(run)
    if episode_id not in episodes:
        raise ConfigError(f"{run}: no episode {episode_id!r}; it has {', '.join(list(episodes)[:3])} ...")
    verdicts = [Verdict.NO] * episodes[episode_id].steps
    for words, verdict in ((yes, Verdict.YES), (unknown, Verdict.UNKNOWN)):
        for step in _steps(words, len(verdicts)):
            verdicts[step] = verdict
    vote = config.episode
    return write_labels(run, labels_of(label_set, episode_id, verdicts, vote.vote_need, vote.vote_window))


def _steps(words: str, count: int) -> list[int]:
    steps: list[int] = []
    for word in filter(None, words.split(",")):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", word.strip())
        if not found or not int(found[1]) <= (last := int(found[2] or found[1])) < count:
            raise ConfigError(f"steps: expected numbers from 0 to {count - 1} as in 31-40,44; got {word!r}")
        steps += range(int(found[1]), last + 1)
    return steps


def _episodes(run: Path) -> dict[str, Episode]:
    found = {episode.episode_id: episode for episode in map(read_kept, kept_paths(run))}
    if not found:
        raise ConfigError(f"{run}: no finished episodes to label; practise first: armtune practice")
    return found
