"""Rewards are computed, never recorded: from a named label set, at load and at export.

A label set is one JSON sidecar, ``labels/<episode_id>/<label_set>.json``. The set
``live`` is what the vote said while the arm moved; without a sidecar it is read off the
episode's own evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import RewardAnswer, Verdict
from armtune_policies.reward.frames import POSITIVE

from .episode_reader import Episode
from .errors import BadData
from .files import checked_name, read_json, write_json
from .nouns import SAID_FAILURE, SAID_SUCCESS, SUCCESS, TIMEOUT, EpisodeState

LIVE, OPERATOR = "live", "operator"
STEP_REWARD, SUCCESS_REWARD = -1.0, 0.0


@dataclass(frozen=True)
class LabelSet:
    """What one judge says of each step of one episode.

    ``verdicts`` has one entry per step; ``success_step`` is the step whose answer
    completed the success vote, None where there is none.
    """

    name: str
    episode_id: str
    verdicts: tuple[Verdict, ...]
    success_step: int | None
    model_digest: str = ""


@dataclass(frozen=True)
class Transitions:
    """Rows of an episode that can be learnt from, K of its T steps.

    A step of unknown reward or with missing parts is left out: it has no reward, not a
    NaN and not a zero. ``has_next`` is whether the following step is there to bootstrap
    from; a return must be cut after a row where it is False.
    """

    steps: np.ndarray
    """int64 (K,): which control steps."""
    reward: np.ndarray
    """float32 (K,): 0 at the one successful step, -1 elsewhere."""
    terminated: np.ndarray
    """bool (K,): the success; the value does not bootstrap."""
    truncated: np.ndarray
    """bool (K,): time limit or abort; the value bootstraps."""
    success: np.ndarray
    """bool (K,)."""
    has_next: np.ndarray
    """bool (K,)."""

    @property
    def done(self) -> np.ndarray:
        return self.terminated | self.truncated


def live_labels(episode: Episode) -> LabelSet:
    """The label set that the episode's own evidence and outcome make."""
    return LabelSet(
        name=LIVE,
        episode_id=episode.episode_id,
        verdicts=tuple(Verdict(int(v)) for v in episode.verdicts),
        success_step=episode.end_step if episode.outcome == SUCCESS else None,
        model_digest=episode.reward_digest,
    )


def shown_labels(episode: Episode) -> LabelSet:
    """Return the live vote, or for an episode that nobody judged what its outcome says of each step.

    A demonstration lingers ``POSITIVE`` steps after the one that did it.
    """
    if np.any(episode.verdicts != Verdict.UNKNOWN):
        return live_labels(episode)
    done = max(episode.steps - 1 - POSITIVE, 0) if episode.outcome == SUCCESS else None
    verdicts = [Verdict.NO] * episode.steps
    if done is not None:
        verdicts[done:] = [Verdict.YES] * (episode.steps - done)
    return LabelSet("shown", episode.episode_id, tuple(verdicts), done)


def as_judged(episode: Episode, labels: LabelSet) -> Episode:
    """Return the episode as if ``labels`` were its vote: whoever goes by outcome or verdicts follows them.

    Steps after the success are marked as incomplete.
    """
    if labels == shown_labels(episode):
        return episode
    goal, complete = labels.success_step, episode.complete.copy()
    lost = TIMEOUT if episode.outcome == SUCCESS else episode.outcome
    about = replace(episode.about, outcome=lost if goal is None else SUCCESS)
    if goal is not None:
        about = replace(about, end_step=goal)
        complete[goal + 1 :] = False
    return replace(episode, about=about, complete=complete, verdicts=np.array(labels.verdicts, np.uint8))


def chosen_labels(run_folder: Path, episode: Episode, label_set: str) -> LabelSet:
    """Return what a label set says of an episode; the vote, else the outcome, where it is blank or has nothing on it.

    Raises:
        ValueError: when the sidecar is not what it should be.
    """
    has = bool(label_set) and label_path(run_folder, episode.episode_id, label_set).exists()
    return read_labels(run_folder, episode, label_set) if has else shown_labels(episode)


def check_labels(run_folder: Path, label_set: str) -> None:
    """Refuse a label set that no episode of a run has: its name is a slip.

    Raises:
        FileNotFoundError: naming it, and those that are there.
    """
    folder = Path(run_folder) / "labels"
    known = sorted({path.stem for path in folder.glob("*/*.json")} | {LIVE})
    if label_set and label_set not in known:
        raise FileNotFoundError(f"{folder}: expected a label set {label_set!r}, got only {', '.join(known)}")


def operator_labels(about: EpisodeState) -> LabelSet | None:
    """The label set of an episode that an operator judged: not yet done until its last step; None where nobody did."""
    if about.mark not in (SAID_SUCCESS, SAID_FAILURE) or about.end_step < 0:
        return None
    done = about.end_step if about.mark == SAID_SUCCESS else None
    verdicts = [Verdict.NO] * (about.end_step + 1)
    if done is not None:
        verdicts[done] = Verdict.YES
    return LabelSet(OPERATOR, about.episode_id, tuple(verdicts), done)


def patched(labels: LabelSet, answers: Iterable[RewardAnswer]) -> LabelSet:
    """Return ``labels`` with unknown steps filled from answers that came too late.

    The outcome stands: a late answer does not end an episode retroactively.
    """
    verdicts = list(labels.verdicts)
    for answer in answers:
        ours = answer.episode_id == labels.episode_id and answer.step < len(verdicts)
        if ours and verdicts[answer.step] == Verdict.UNKNOWN:
            verdicts[answer.step] = answer.verdict
    return replace(labels, verdicts=tuple(verdicts))


def derive(episode: Episode, labels: LabelSet) -> Transitions:
    """Return reward, terminated, truncated and success of every step that has them.

    Steps after the label set's success are left out; an episode that this label set does
    not call a success is truncated at its last step.

    Raises:
        BadData: when the labels are of another episode or another length, naming the episode's file.
    """
    if labels.episode_id != episode.episode_id or len(labels.verdicts) != episode.steps:
        got = f"{len(labels.verdicts)} of {labels.episode_id}"
        raise BadData(str(episode.path), f"labels {labels.name}", f"{episode.steps} steps of {episode.episode_id}", got)
    goal = labels.success_step
    last = episode.steps - 1 if goal is None else goal
    known = np.array([v != Verdict.UNKNOWN for v in labels.verdicts], bool) & episode.complete
    known[last + 1 :] = False
    steps = np.flatnonzero(known)
    success = steps == (-1 if goal is None else goal)
    follows = np.append(episode.complete[1:], False)
    return Transitions(
        steps=steps,
        reward=np.where(success, SUCCESS_REWARD, STEP_REWARD).astype(np.float32),
        terminated=success,
        truncated=(steps == last) & ~success,
        success=success.copy(),
        has_next=follows[steps] & (steps < last),
    )


def label_path(run_folder: Path, episode_id: str, label_set: str) -> Path:
    """Where a label set of an episode lives.

    Raises:
        ValueError: for a name that will not do as a part of a path.
    """
    folder = Path(run_folder) / "labels" / checked_name(episode_id, "episode_id")
    return folder / f"{checked_name(label_set, 'label set')}.json"


def write_labels(run_folder: Path, labels: LabelSet) -> Path:
    """Write a label set beside its run, whole or not at all."""
    path = label_path(run_folder, labels.episode_id, labels.name)
    write_json(path, labels_json(labels))
    return path


def labels_json(labels: LabelSet) -> dict[str, Any]:
    """Return a label set as JSON can say it."""
    return {
        "label_set": labels.name,
        "episode_id": labels.episode_id,
        "verdicts": [v.name.lower() for v in labels.verdicts],
        "success_step": labels.success_step,
        "model_digest": labels.model_digest,
    }


def parse_labels(value: Any, source: str) -> LabelSet:
    """Return the label set that JSON says.

    Raises:
        ValueError: naming the source, when it is none.
    """
    try:
        verdicts = tuple(Verdict[str(name).upper()] for name in value["verdicts"])
        step = value["success_step"]
        success_step = None if step is None else int(step)
        return LabelSet(value["label_set"], value["episode_id"], verdicts, success_step, value["model_digest"])
    except (KeyError, TypeError) as why:
        raise ValueError(f"{source}: expected a label set, got one without {why}") from None


def read_labels(run_folder: Path, episode: Episode, label_set: str = LIVE) -> LabelSet:
    """Return a label set of ``episode``; ``live`` needs no sidecar.

    Raises:
        FileNotFoundError: when there is no such label set.
        ValueError: when the sidecar is not what it should be.
    """
    path = label_path(run_folder, episode.episode_id, label_set)
    if label_set == LIVE and not path.exists():
        return live_labels(episode)
    return parse_labels(read_json(path), str(path))
