"""The labelled frames of a run: by the rule, by the simulator's truth, by a person, by a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_bringup.settings import Config
from armtune_policies.contract import ConfigError, Verdict
from armtune_policies.reward.calibrate import limits_of, verdicts
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet, joined, read_frames
from armtune_policies.reward.gather import DEMO, by_labels, by_rule
from armtune_policies.store import nouns
from armtune_policies.store.edits import kept_paths, read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import LIVE, OPERATOR, label_path, operator_labels, read_labels
from armtune_policies.store.nouns import ABORTED, SAID_FAILURE, SAID_SUCCESS

from .settings import Judging
from .witness import PRACTICE, TAUGHT

CHUNK = 256
LABELLED = f"{PRACTICE}-labelled"
"""Practice that a person labelled, among such as a judge alone spoke of."""


def labelled(
    judging: Judging, run: Path, practised: Sequence[Path] = (), label_set: str = OPERATOR, with_practice: bool = True
) -> FrameSet:
    """Return every labelled frame there is; its cameras come in the order of the config, as a judge is shown them.

    What a person said of an episode's frames is taken as said; an episode of which is known only how it ended, by an
    operator or by the demonstration's own end, is labelled by the rule.

    Args:
        judging: Config and label rule.
        run: Demonstrations and failures; practice that has labels, and practice that ``collect`` witnessed there.
        practised: More runs, whose episodes are labelled by a label set.
        label_set: Its name.
        with_practice: Without, only demonstrations and failures.

    Raises:
        ConfigError: when a practised run has no such labels.
        ValueError: when the run has nothing to learn from.
    """
    cameras = judging.config.policy.observation.cameras
    shown, corrected, mine = list[Episode](), list[Episode](), list[Episode]()
    for path in kept_paths(run):
        episode = read_kept(path)
        if label_set != LIVE and _says_frames(run, episode, label_set):
            (mine if _is_practice(episode) else corrected).append(episode)
        elif is_shown(episode):
            shown.append(episode)
    parts = [by_outcome(judging, shown)] if shown else []
    if corrected:
        parts.append(_as(DEMO, by_labels(corrected, run, label_set, judging.questions, cameras)))
    if mine and with_practice:
        parts.append(by_labels(mine, run, label_set, judging.questions, cameras))
    if with_practice:
        parts += [*_witnessed(judging.config, run), *(_practised(judging, p, label_set) for p in practised)]
    found = joined(parts)
    if set(found.images) != set(cameras):
        theirs, ours = ", ".join(sorted(found.images)), ", ".join(sorted(cameras))
        raise ConfigError(f"{run}: expected frames of {ours}, got of {theirs}; collect anew, or set policy.cameras")
    return replace(found, images={camera: found.images[camera] for camera in cameras})


def by_outcome(judging: Judging, episodes: Sequence[Episode]) -> FrameSet:
    """Label demonstrations and failures by how they ended.

    Raises:
        ValueError: when no episode gives a frame.
    """
    forward, backward = judging.questions
    cameras = judging.config.policy.observation.cameras
    return by_rule(episodes, judging.questions, cameras, judging.label, {forward: backward, backward: forward})


def score(
    model: RewardModel, frames: FrameSet, threshold: float = 0.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return probabilities and verdicts (N,) of a model in the runtime, for every question of a set.

    Verdicts are those of ``reward.threshold``, as live; 0 for the model's own.
    """
    p, said, limits = [np.zeros(0)], [np.zeros(0, np.uint8)], limits_of(model.limits, threshold)
    for start in range(0, len(frames), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(frames)))
        found = model.score_many(frames.pictures(rows), [frames.questions[q] for q in frames.question[rows]])
        p.append(found.probability.astype(np.float64))
        said.append(verdicts(found.probability, found.distance, limits))
    return np.concatenate(p), np.concatenate(said)


def refuse_own_word(label_set: str, teacher: Path | None) -> None:
    """Raise ConfigError when a judge would learn its own answers."""
    if label_set == LIVE and teacher is None:
        raise ConfigError(
            f"labels {LIVE!r} are the judge's own answers: expected a person's labels, or a --teacher, too"
        )


def taught(frames: FrameSet, teacher: RewardModel, label_set: str) -> tuple[FrameSet, npt.NDArray[np.float32]]:
    """Return frames and the teacher's probabilities (N,), to be learnt in place of labels.

    Practice that nobody labelled takes the teacher's verdict for its label, on which the student is calibrated; what
    the teacher cannot tell there is left out.
    """
    p, said = score(teacher, frames)
    is_open = unlabelled(frames, label_set)
    frames = replace(frames, is_success=np.where(is_open, said == Verdict.YES, frames.is_success))
    keep = np.flatnonzero(~is_open | (said != Verdict.UNKNOWN))
    return frames.rows(keep), p[keep].astype(np.float32)


def unlabelled(frames: FrameSet, label_set: str) -> npt.NDArray[np.bool_]:
    """Return which rows (N,) only a judge spoke of: practice as ``live``, not what the truth or a person labelled."""
    return np.array([label_set == LIVE and kind == PRACTICE for kind in frames.kinds], bool)[frames.kind]


def is_practice(frames: FrameSet) -> npt.NDArray[np.bool_]:
    """Return which rows (N,) are of practice, of whatever stage."""
    return np.array([kind.startswith(PRACTICE) for kind in frames.kinds], bool)[frames.kind]


def described(frames: FrameSet) -> str:
    """Return in words what a set is made of."""
    counts = []
    for kind in frames.kinds:
        part = frames.of_kind(kind)
        counts.append(
            f"{len(part.used())} episodes of kind {kind} ({len(part)} frames, {int(part.is_success.sum())} of success)"
        )
    return ", ".join(counts)


def _practised(judging: Judging, run: Path, label_set: str) -> FrameSet:
    """Return the practice of a run that a label set speaks of; ``live`` speaks of all that no person labelled."""
    cameras = judging.config.policy.observation.cameras
    told, ended, said = list[Episode](), list[Episode](), list[Episode]()
    for path in kept_paths(run):
        if label_set == LIVE or label_path(run, path.stem, label_set).is_file():
            episode = read_kept(path)
            if label_set == LIVE:
                (said if _says_frames(run, episode, OPERATOR) else told).append(episode)
            else:
                (told if _says_frames(run, episode, label_set) else ended).append(episode)
    if not told and not ended and not said:
        todo = "label some by armtune reward label, or let a judge do it: --labels live --teacher FOLDER"
        raise ConfigError(f"{run}: no episode has labels {label_set!r}; {todo}")
    parts = [_as(PRACTICE, by_outcome(judging, ended))] if ended else []
    if told:
        parts.append(by_labels(told, run, label_set, judging.questions, cameras))
    if said:
        parts.append(_as(LABELLED, by_labels(said, run, OPERATOR, judging.questions, cameras)))
    return joined(parts)


def _as(kind: str, frames: FrameSet) -> FrameSet:
    return replace(frames, kind=np.zeros_like(frames.kind), kinds=(kind,))


def _says_frames(run: Path, episode: Episode, label_set: str) -> bool:
    """Whether a label set speaks of an episode's frames, not only of how it ended.

    The recorder writes a set of the second kind for every episode that an operator ends.
    """
    if not label_path(run, episode.episode_id, label_set).is_file():
        return False
    return read_labels(run, episode, label_set) != operator_labels(episode.about)


def _witnessed(config: Config, run: Path) -> list[FrameSet]:
    """Return the practice that ``collect`` made; what a judge is measured on lies elsewhere."""
    return [read_frames(path) for path in sorted((run / TAUGHT).glob(f"{config.task.name}-*.safetensors"))]


def is_shown(episode: Episode) -> bool:
    """Whether how it ended says what its frames show: a demonstration or failure that came to its end."""
    return not _is_practice(episode) and episode.outcome != ABORTED


def _is_practice(episode: Episode) -> bool:
    """Whether only a judge spoke of it, or nobody did: no person had the last word."""
    is_said = episode.about.mark in (SAID_SUCCESS, SAID_FAILURE)
    is_judged = bool((episode.verdicts != Verdict.UNKNOWN).any())
    return not is_said and (is_judged or episode.about.purpose == nouns.PRACTICE)
