"""One episode of someone else's recording, whatever the format: numbers and pictures by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from armtune_policies.store import pictures
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.errors import BadData
from armtune_policies.store.nouns import EpisodeState

from .contract_file import Contract

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RawEpisode:
    """T rows by key."""

    source: str
    """File and place, for errors; the same in every run."""
    arrays: Mapping[str, Any]
    """Numbers (T, ...) by key."""
    images: Mapping[str, Sequence[Frames]]
    """By camera: T pictures, rgb8 (H, W, 3)."""
    stamps_ns: npt.NDArray[np.int64] | None = None
    """Real ones where there are any; else the contract's rate makes them."""
    sentence: str = ""


class Foreign(Protocol):
    """A recording that gives its episodes in order."""

    source: str
    contract: Contract
    left_out: int
    """Steps that no episode has, known once they were given."""

    def episodes(self, first: int = 0) -> Iterator[RawEpisode]:
        """Give the episodes from number ``first`` on."""
        ...


def plain_episode(
    path: Path,
    about: EpisodeState,
    images: Mapping[str, Frames],
    state: npt.NDArray[np.float32],
    action: npt.NDArray[np.float32],
    stamps_ns: npt.NDArray[np.int64],
    verdicts: npt.NDArray[np.uint8],
) -> Episode:
    """Return an episode of which nothing more is known: T whole steps, no proposals, nobody's probabilities."""
    count = len(state)
    blank = ("",) * count
    return Episode(
        path=path, about=about, metadata={}, images=images, state=state, features=np.zeros((count, 0), np.float32),
        proposed=np.full(action.shape, np.nan, np.float32), allowed=action, stamps_ns=stamps_ns,
        complete=np.ones(count, bool), modes=np.zeros(count, np.uint8), verdicts=verdicts,
        probabilities=np.full(count, np.nan, np.float32), sources=blank, limited_by=((),) * count, refused=blank,
        policy_versions=blank, encoder_digest="", observation_digest="", reward_digest="",
    )  # fmt: skip


def decode_picture(data: Any, source: str, key: str) -> Frames:
    """Return a JPEG or PNG picture as rgb8 (H, W, 3).

    Raises:
        BadData: when it is neither.
    """
    try:
        return pictures.decoded(data)
    except ValueError as why:
        raise BadData(source, key, "a PNG or JPEG picture", why) from None


def checked_frames(frames: Any, source: str, key: str) -> Frames:
    """Return an array of pictures, (T, H, W, 3) uint8.

    Raises:
        BadData: for another shape or type.
    """
    made = np.asarray(frames)
    if made.dtype != np.uint8 or made.ndim != 4 or made.shape[-1] != 3:
        raise BadData(source, key, "pictures uint8 (T, H, W, 3)", f"{made.dtype} {made.shape}")
    return made
