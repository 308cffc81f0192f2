"""Which frames of an episode show success: the classifier's training labels.

The last ``POSITIVE`` frames of a success are positive, the ``DROPPED`` before them are
ambiguous and left out, all earlier ones negative; every frame of a failure is negative
(RoboFuME's rule). The last frames of one direction are negatives of the other one. Where
a demonstration begins, the other direction is done: its first frames show that, the arm away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from armtune_policies.contract import digest

POSITIVE = 3
DROPPED = 10


@dataclass(frozen=True)
class EpisodeFacts:
    """What labelling needs to know of an episode.

    ``opposite`` is the sentence of the un-task, blank when there is none. ``outcome`` of a
    demonstration is the demonstrator's; of practice, the vote's or a person's.
    """

    episode_id: str
    sentence: str
    steps: int
    is_success: bool
    opposite: str = ""


@dataclass(frozen=True)
class FrameLabel:
    """One training frame: where it is, the sentence it is judged by, what is true."""

    episode_id: str
    step: int
    sentence: str
    is_success: bool


def label_frames(
    episode: EpisodeFacts, positive: int = POSITIVE, dropped: int = DROPPED, begun: int = 0
) -> list[FrameLabel]:
    """Return the labels of one episode's frames, in step order; ``begun`` first frames show the un-task done."""
    first_positive = max(episode.steps - positive, 0) if episode.is_success else episode.steps
    last_negative = max(first_positive - dropped, 0) if episode.is_success else episode.steps
    labels = [FrameLabel(episode.episode_id, s, episode.sentence, False) for s in range(last_negative)]
    if episode.opposite:
        labels += [FrameLabel(episode.episode_id, s, episode.opposite, True) for s in range(min(begun, last_negative))]
    for step in range(first_positive, episode.steps):
        labels.append(FrameLabel(episode.episode_id, step, episode.sentence, True))
        if episode.opposite:
            labels.append(FrameLabel(episode.episode_id, step, episode.opposite, False))
    return labels


def split_episodes(episode_ids: Iterable[str], held_out: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split whole episodes into training and held-out ones: frames of one episode are no two samples.

    About a part ``held_out``. Each episode's side is its own, by its name and ``seed``: more episodes move none to the
    other side, so that what a judge was once measured on it does not learn later. Both sides get at least one episode
    when there are two or more.
    """
    drawn = sorted((int(digest([seed, name]), 16) / 16**16, name) for name in set(episode_ids))
    count = sum(place < held_out for place, _ in drawn)
    count = min(max(count, 1), len(drawn) - 1) if len(drawn) > 1 else 0
    names = [name for _, name in drawn]
    return tuple(sorted(names[count:])), tuple(sorted(names[:count]))
