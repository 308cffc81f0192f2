"""The audit of a run: what is due, its pictures to look at, and what the answers say so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from armtune_policies.contract import ConfigError, Verdict
from armtune_policies.reward.audit import (
    AuditParams,
    Decision,
    Rate,
    Review,
    alarms,
    due,
    is_sampled,
    precision,
    recall,
)
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import write_whole
from armtune_policies.store.nouns import ABORTED, SAID_FAILURE, SAID_SUCCESS, SUCCESS
from armtune_policies.store.reviews import AUDIT, WORDS, add_reviews, decisions, read_reviews


@dataclass(frozen=True)
class Due:
    """A decision to look at: what was asked, what was said, and where the picture is."""

    decision: Decision
    sentence: str
    picture: Path

    @property
    def name(self) -> str:
        return f"{self.decision.episode_id}/{self.decision.step}"


@dataclass(frozen=True)
class Audit:
    """Where an audit stands."""

    due: tuple[Due, ...]
    reviewed: int
    precision: Rate
    recall: Rate
    alarms: tuple[str, ...]


class Auditing:
    """The audit of a run; its episodes are read once, however many answers come."""

    def __init__(self, run: Path, params: AuditParams) -> None:
        """Look through a run; pictures of what is due are written beside the reviews.

        Raises:
            ConfigError: when the run has no finished episodes.
        """
        self._run, self._params = run, params
        self._episodes: dict[str, Episode] = {}
        for path in kept_paths(run):
            episode = read_kept(path)
            for decision in self._due(episode):
                _picture(run, episode, decision.step)
            self._episodes[episode.episode_id] = replace(episode, images={})
        if not self._episodes:
            raise ConfigError(f"{run}: expected a run folder with finished episodes, found none")

    def stand(self) -> Audit:
        """Return where it stands.

        Rates are of the sample alone: what a person looks at unasked is what looked odd, and no measure of the rest.
        """
        waiting, reviews = list[Due](), list[Review]()
        for name, episode in self._episodes.items():
            waiting += [Due(d, episode.sentence, picture_path(self._run, name, d.step)) for d in self._due(episode)]
            reviews += [
                r for r in read_reviews(self._run, name) if is_sampled(name, r.decision.step, self._params.share)
            ]
        outcomes = [episode.outcome == SUCCESS for episode in self._episodes.values() if _is_judged(episode)]
        found = tuple(alarms(reviews, outcomes, self._params))
        return Audit(tuple(waiting), len(reviews), precision(reviews), recall(reviews), found)

    def answer(self, answers: Sequence[str]) -> int:
        """Keep answers, each ``EPISODE/STEP=yes|no|unsure``; return how many. None is kept when one will not do.

        Raises:
            ConfigError: naming the answer, what was expected and what came.
        """
        asked: dict[str, list[Review]] = {}
        for text in answers:
            name, _, word = text.partition("=")
            episode_id, _, step = name.partition("/")
            if not step.isdecimal() or word not in WORDS:
                raise ConfigError(f"expected EPISODE/STEP={'|'.join(WORDS)}, as in run-00003/17=no; got {text!r}")
            if episode_id not in self._episodes:
                raise ConfigError(f"{self._run}: no finished episode {episode_id!r}; see `armtune data ls {self._run}`")
            said = decisions(self._episodes[episode_id])
            if int(step) >= len(said):
                raise ConfigError(f"{episode_id}: expected a step below {len(said)}, got {step}")
            asked.setdefault(episode_id, []).append(Review(said[int(step)], WORDS[word]))
        for episode_id, reviews in asked.items():
            add_reviews(self._run, self._episodes[episode_id], reviews)
        return len(answers)

    def _due(self, episode: Episode) -> list[Decision]:
        reviewed = read_reviews(self._run, episode.episode_id)
        return [d for d in due(decisions(episode), reviewed, self._params.share) if episode.complete[d.step]]


def _is_judged(episode: Episode) -> bool:
    """Whether the vote said how it ended: of no demonstration, of nothing that was stopped or a person ended."""
    is_said = episode.outcome == ABORTED or episode.about.mark in (SAID_SUCCESS, SAID_FAILURE)
    return not is_said and bool((episode.verdicts != Verdict.UNKNOWN).any())


def picture_path(run: Path, episode_id: str, step: int) -> Path:
    """Where the picture of a decision lies."""
    return run / AUDIT / "pictures" / f"{episode_id}-{step}.png"


def _picture(run: Path, episode: Episode, step: int) -> None:
    """Write what all cameras saw, side by side, once."""
    path = picture_path(run, episode.episode_id, step)
    if not path.exists():
        height = max(images.shape[1] for images in episode.images.values())
        views = [_padded(images[step], height) for images in episode.images.values()]
        done, png = cv2.imencode(".png", np.concatenate(views, axis=1)[:, :, ::-1])
        if not done:
            raise ConfigError(f"{path}: the picture of step {step} cannot be encoded")
        write_whole(path, png.tobytes())


def _padded(image: np.ndarray, height: int) -> np.ndarray:
    return np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)))
