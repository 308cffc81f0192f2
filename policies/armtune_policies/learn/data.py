"""Finished episodes as the rows that learning wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, Mode, ObservationSpec, Verdict, digest
from armtune_policies.reward.frames import POSITIVE
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.nouns import SUCCESS

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Transitions:
    """Rows of many episodes, in order; row i is one control step.

    ``images`` uint8 (N, H, W, 3) by camera, empty once features are known; ``state``
    (N, 7): tool position [m], rotation vector [rad], opening; ``action`` (N, 7), the
    allowed tool delta [m, rad, opening]; ``features`` (N, F), F 0 when not known;
    ``sentence`` (N,) indexes ``sentences``; ``episode`` (N,) indexes ``episode_ids``.
    """

    images: Mapping[str, npt.NDArray[np.uint8]]
    state: Floats
    action: Floats
    features: Floats
    sentence: npt.NDArray[np.int64]
    sentences: tuple[str, ...]
    episode: npt.NDArray[np.int64]
    episode_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.state)

    def rows(self, keep: npt.NDArray[Any]) -> Transitions:
        """Return the rows that a mask or an index array of shape (N,) picks."""
        return replace(
            self,
            images={camera: images[keep] for camera, images in self.images.items()},
            state=self.state[keep],
            action=self.action[keep],
            features=self.features[keep],
            sentence=self.sentence[keep],
            episode=self.episode[keep],
        )

    def with_features(self, features: Floats) -> Transitions:
        """Return the same rows with features (N, F) in place of images."""
        return replace(self, images={}, features=features)

    @property
    def digest(self) -> str:
        """Name the data: which episodes, how many rows of each, which sentences."""
        counts = np.bincount(self.episode, minlength=len(self.episode_ids)).tolist()
        return digest([list(self.episode_ids), counts, list(self.sentences)])


def transitions(
    episodes: Iterable[Episode], action: ActionSpec, observation: ObservationSpec, sentences: tuple[str, ...]
) -> Transitions:
    """Gather the rows to imitate from successful episodes.

    Raises:
        ValueError: when an episode does not fit, or none is a success.
    """
    parts = [episode_rows(e, action, observation, sentences) for e in episodes if e.outcome == SUCCESS]
    return concatenate([replace(part, features=np.zeros((len(part), 0), np.float32)) for part in parts])


def episode_rows(
    episode: Episode,
    action: ActionSpec,
    observation: ObservationSpec,
    sentences: tuple[str, ...],
    encoder_digest: str = "",
) -> Transitions:
    """Return the rows of one episode: whole ones, no holds, none that show success, actions clipped to the bounds.

    Args:
        episode: As read from its file.
        action: What its actions mean.
        observation: Cameras and image size.
        sentences: What the policy knows.
        encoder_digest: Recorded features are kept when they are of this encoder.

    Raises:
        ValueError: when images or sentence are others than expected.
    """
    _fits(episode, observation, sentences)
    low, high = np.asarray(action.low, np.float32), np.asarray(action.high, np.float32)
    keep = episode.complete & (episode.modes < Mode.HOLD)
    keep &= ~shows_success(episode)
    keep &= np.isfinite(episode.allowed).all(axis=1) & np.isfinite(episode.state).all(axis=1)
    count = int(keep.sum())
    known = bool(encoder_digest) and episode.encoder_digest == encoder_digest
    return Transitions(
        {camera: episode.images[camera][keep] for camera in observation.cameras},
        episode.state[keep].astype(np.float32),
        np.clip(episode.allowed[keep].astype(np.float32), low, high),
        episode.features[keep].astype(np.float32) if known else np.zeros((count, 0), np.float32),
        np.full(count, sentences.index(episode.sentence), np.int64),
        sentences,
        np.zeros(count, np.int64),
        (episode.episode_id,),
    )


def shows_success(episode: Episode) -> npt.NDArray[np.bool_]:
    """Return which rows of a success show it done, shape (T,): there is nothing to imitate in them.

    Those the reward model said yes to; where nobody asked it, the last few of a demonstration.
    """
    if np.any(episode.verdicts != Verdict.UNKNOWN):
        return episode.verdicts == Verdict.YES
    return np.arange(episode.steps) >= episode.steps - POSITIVE


def concatenate(parts: Sequence[Transitions]) -> Transitions:
    """Join rows of several episodes or sets of them.

    Raises:
        ValueError: when there is nothing to join.
    """
    if not sum(len(part) for part in parts):
        raise ValueError("no successful episodes to learn from; collect demonstrations first (`armtune collect`)")
    offsets = np.cumsum([0, *(len(part.episode_ids) for part in parts[:-1])])
    return Transitions(
        {camera: np.concatenate([part.images[camera] for part in parts]) for camera in parts[0].images},
        np.concatenate([part.state for part in parts]),
        np.concatenate([part.action for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.sentence for part in parts]),
        parts[0].sentences,
        np.concatenate([part.episode + offset for part, offset in zip(parts, offsets)]),
        tuple(name for part in parts for name in part.episode_ids),
    )


def _fits(episode: Episode, observation: ObservationSpec, sentences: tuple[str, ...]) -> None:
    size = (observation.height_px, observation.width_px, 3)
    for camera in observation.cameras:
        got = episode.images[camera].shape[1:] if camera in episode.images else None
        if got != size:
            raise ValueError(f"{episode.path}: expected images of camera {camera} {size}, got {got or 'none'}")
    if episode.sentence not in sentences:
        raise ValueError(f"{episode.path}: sentence {episode.sentence!r} is none of {', '.join(map(repr, sentences))}")
    if episode.state.shape[1:] != (len(STATE_NAMES),):
        raise ValueError(f"{episode.path}: expected {len(STATE_NAMES)} numbers of state, got {episode.state.shape[1:]}")
