"""Episode files to labelled frames: by the rule for demonstrations and failures, by a label set for practice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armtune_policies.contract import Checked, Verdict, num
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import read_labels
from armtune_policies.store.nouns import SUCCESS

from .frames import EpisodeFacts, FrameLabel, label_frames
from .frameset import FrameSet

DEMO, FAILURE, PRACTICE = "demo", "failure", "practice"


@dataclass(frozen=True, kw_only=True)
class LabelParams(Checked):
    """Which frames of a demonstration show success."""

    positive: int = num(3, low=1, high=100, doc="last frames of a success that show it")
    dropped: int = num(2, low=0, high=100, doc="frames before those that may or may not")
    begun: int = num(2, low=0, high=100, doc="first frames of a success that show the un-task done")


def by_rule(
    episodes: Iterable[Episode],
    questions: Sequence[str],
    cameras: Sequence[str],
    rule: LabelParams,
    un_task: dict[str, str],
) -> FrameSet:
    """Label demonstrations and failures by how they ended.

    Args:
        episodes: As read from files.
        questions: All that may be asked; those of other tasks are answered with no.
        cameras: What to look through.
        rule: How many frames show what.
        un_task: By sentence, the sentence that undoes it.

    Raises:
        ValueError: when no episode gives a frame.
    """
    build = _Builder(tuple(questions), tuple(cameras))
    for episode in episodes:
        won = episode.outcome == SUCCESS
        facts = EpisodeFacts(
            episode.episode_id, episode.sentence, episode.steps, won, un_task.get(episode.sentence, "")
        )
        labels = label_frames(facts, rule.positive, rule.dropped, rule.begun if won else 0)
        build.add(episode, labels, DEMO if won else FAILURE)
    return build.done()


def by_labels(
    episodes: Iterable[Episode], run_folder: Path, label_set: str, questions: Sequence[str], cameras: Sequence[str]
) -> FrameSet:
    """Label the frames of practice as a label set of the run says; unknown ones, and episodes without, are left out.

    Raises:
        ValueError: when no episode gives a frame.
    """
    build = _Builder(tuple(questions), tuple(cameras))
    for episode in episodes:
        try:
            verdicts = read_labels(run_folder, episode, label_set).verdicts
        except FileNotFoundError:
            continue
        rows = [
            FrameLabel(episode.episode_id, step, episode.sentence, verdict is Verdict.YES)
            for step, verdict in enumerate(verdicts[: episode.steps])
            if verdict is not Verdict.UNKNOWN
        ]
        build.add(episode, rows, PRACTICE)
    return build.done()


class _Builder:
    """Grows a frame set episode by episode."""

    def __init__(self, questions: tuple[str, ...], cameras: tuple[str, ...]) -> None:
        self._questions, self._cameras = questions, cameras
        self._images: dict[str, list[np.ndarray]] = {camera: [] for camera in cameras}
        self._states: list[np.ndarray] = []
        self._rows: list[tuple[int, int, bool, int, int, int]] = []
        self._episodes: list[str] = []
        self._kinds: list[str] = []

    def add(self, episode: Episode, labels: Sequence[FrameLabel], kind: str) -> None:
        labels = [one for one in labels if episode.complete[one.step] and one.sentence in self._questions]
        if not labels:
            return
        steps = sorted({one.step for one in labels})
        place = {step: len(self._states) + i for i, step in enumerate(steps)}
        for camera in self._cameras:
            self._images[camera].extend(episode.images[camera][steps])
        self._states.extend(episode.state[steps])
        if kind not in self._kinds:
            self._kinds.append(kind)
        number, of = len(self._episodes), self._kinds.index(kind)
        self._episodes.append(episode.episode_id)
        self._rows += [
            (place[one.step], self._questions.index(one.sentence), one.is_success, number, one.step, of)
            for one in labels
        ]

    def done(self) -> FrameSet:
        if not self._rows:
            raise ValueError("no frames to learn success from; collect some: armtune reward collect")
        frame, question, is_success, episode, step, kind = (np.array(column) for column in zip(*self._rows))
        return FrameSet(
            images={camera: np.stack(images) for camera, images in self._images.items()},
            state=np.stack(self._states),
            frame=frame,
            question=question,
            is_success=is_success,
            episode=episode,
            step=step,
            kind=kind,
            questions=self._questions,
            episodes=tuple(self._episodes),
            kinds=tuple(self._kinds),
        )
