"""How a judge errs, per frame and per episode, with upper bounds. An abstention counts as a miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import Verdict
from armtune_policies.episode.rate import wilson

from .frameset import FrameSet
from .vote import first_complete

DRAWS, REACHED = 2000, 3
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class VoteRule:
    """k of the newest n answers, each counted only with the gripper open this far."""

    need: int = 2
    window: int = 3
    opening: float = 0.0


@dataclass(frozen=True)
class Report:
    """What one question's answers came to; rates are None where there is no case.

    ``*_upper95`` is the worse of Wilson's bound, frames taken as independent, and a bootstrap over episodes, which
    they are not. ``episode_false_stop`` counts episodes whose vote completes on a frame that shows no success;
    ``episode_miss`` those of ``n_reached`` whose vote does not complete: with ``REACHED`` frames of success or more.
    """

    n_frames: int
    n_episodes: int
    n_success_frames: int
    frame_fpr: float | None
    frame_fpr_upper95: float | None
    frame_recall: float | None
    frame_recall_lower95: float | None
    frame_precision: float | None
    abstain: float
    abstain_upper95: float
    episode_false_stop: float | None
    episode_false_stop_upper95: float | None
    episode_miss: float | None
    n_reached: int


def report(frames: FrameSet, said: Codes, rule: VoteRule) -> Report:
    """Return how verdicts (N,) err on one question's frames.

    Args:
        frames: What is true of them.
        said: Verdicts, in the same order.
        rule: When an episode stops.
    """
    true, yes, unknown = frames.is_success, said == Verdict.YES, said == Verdict.UNKNOWN
    stops, reached, missed = [], [], []
    for rows in by_episode(frames):
        done = stop_row(frames, said, rows, rule)
        stops.append(done is not None and not true[rows[done]])
        if int(true[rows].sum()) >= REACHED:
            reached.append(True)
            missed.append(done is None)
    groups = frames.episode
    return Report(
        n_frames=len(frames),
        n_episodes=len(stops),
        n_success_frames=int(true.sum()),
        frame_fpr=_rate(yes, ~true),
        frame_fpr_upper95=_upper(yes, ~true, groups),
        frame_recall=_rate(yes, true),
        frame_recall_lower95=_complement(_upper(~yes, true, groups)),
        frame_precision=_rate(true, yes),
        abstain=float(unknown.mean()),
        abstain_upper95=float(_upper(unknown, np.ones(len(frames), bool), groups) or 0.0),
        episode_false_stop=float(np.mean(stops)) if stops else None,
        episode_false_stop_upper95=wilson(sum(stops), len(stops))[1] if stops else None,
        episode_miss=float(np.mean(missed)) if missed else None,
        n_reached=len(reached),
    )


def by_question(frames: FrameSet, said: Codes, rule: VoteRule) -> dict[str, Report]:
    """Return a report per question."""
    found = {}
    for index, question in enumerate(frames.questions):
        rows = np.flatnonzero(frames.question == index)
        if len(rows):
            found[question] = report(frames.rows(rows), said[rows], rule)
    return found


WORST_HIGH = (
    "frame_fpr", "frame_fpr_upper95", "abstain", "abstain_upper95", "episode_false_stop",
    "episode_false_stop_upper95", "episode_miss",
)  # fmt: skip
WORST_LOW = ("frame_recall", "frame_recall_lower95", "frame_precision")


def worst(reports: Mapping[str, Report]) -> dict[str, Any]:
    """Return each number of the question that has it worst; counts are summed."""
    rows = [asdict(one) for one in reports.values()]
    found: dict[str, Any] = {name: sum(row[name] for row in rows) for name in rows[0] if name.startswith("n_")}
    for names, pick in ((WORST_HIGH, max), (WORST_LOW, min)):
        for name in names:
            values = [row[name] for row in rows if row[name] is not None]
            found[name] = round(pick(values), 5) if values else None
    return found


def by_episode(frames: FrameSet) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows of each episode, in step order."""
    for episode in np.unique(frames.episode):
        rows = np.flatnonzero(frames.episode == episode)
        yield rows[np.argsort(frames.step[rows], kind="stable")]


def stop_row(frames: FrameSet, said: Codes, rows: npt.NDArray[np.int64], rule: VoteRule) -> int | None:
    """Return which of an episode's rows completes the vote, None when none does."""
    open_enough = frames.state[frames.frame[rows], -1] >= rule.opening
    answers = [Verdict(int(v)) if ok or v != Verdict.YES else Verdict.NO for v, ok in zip(said[rows], open_enough)]
    return first_complete(answers, rule.need, rule.window)


def _rate(what: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float | None:
    return float(what[among].mean()) if among.any() else None


def _complement(bound: float | None) -> float | None:
    return None if bound is None else 1.0 - bound


def _upper(what: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> float | None:
    """Return the upper end of a 95 % interval: the worse of Wilson's and that of episodes drawn with replacement."""
    if not among.any():
        return None
    _, place = np.unique(groups[among], return_inverse=True)
    hits, counts = np.bincount(place, what[among]), np.bincount(place)
    drawn = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    spread = np.quantile(hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1), 0.975)
    return max(wilson(int(what[among].sum()), int(among.sum()))[1], float(spread))
