"""What a failed try should have done, where the arm knew where the thing stood: labels by hindsight.

A practising arm puts things down itself, so it often knows where the next try has to take hold, though the policy
does not see it well. Demonstrations tell how a hand goes from anywhere to where it shuts: shifted to that place, they
tell what each observation of the try asked for. So a failure teaches where it was wrong, as an expert's labels of the
learner's own states do (DAgger, Ross et al. 2011, 1011.0686); the goal reached is known instead of relabelled
(Andrychowicz et al. 2017, 1707.01495).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from armtune_policies.episode.nudge import SHUT, shut_row

from .scaling import ActionScale
from .trajectory import Floats, Trajectory, shown

NEIGHBOURS = 3
"""Demonstrated rows whose next places are averaged."""
SHUTS_M = 0.008
"""A hand so near to where a demonstrated one shut shuts, too."""


@dataclass(frozen=True)
class Approaches:
    """Rows of demonstrations up to where the hand shut, in places from there."""

    at_m: npt.NDArray[np.floating]
    """(N, 3)."""
    next_m: npt.NDArray[np.floating]
    """(N, 3), a row later."""
    turn: Floats
    """(N, 3) in -1..1: how the tool was turned."""
    is_shut: npt.NDArray[np.bool_]
    """(N,): whether the hand shut here."""
    height_m: float
    """Where hands shut, over the base."""


class Tutor:
    """Says what tries should have done, by the demonstrations of a task pair.

    Args:
        trajectories: Of these the pair's successes; one of an episode's copies.
        scale: Of their actions.
    """

    def __init__(self, trajectories: Iterable[Trajectory], scale: ActionScale) -> None:
        self._scale = scale
        self._by_sentence = {
            sentence: approaches for sentence, ones in enumerate(shown(trajectories)) if (approaches := _gathered(ones))
        }

    def taught(self, failed: Trajectory, stands_m: Sequence[float]) -> Trajectory:
        """Return a failed try with its labels; as it is where nothing is known.

        Args:
            failed: A try; one that succeeded needs no label.
            stands_m: Where the thing stood when it began: x, y [m], or nothing.
        """
        approaches = self._by_sentence.get(failed.sentence)
        if failed.imitate or approaches is None or not len(stands_m):
            return failed
        goal = np.array([*stands_m, approaches.height_m])
        expert = np.full(failed.action.shape, np.nan, np.float32)
        for row in range(_tried(failed)):
            expert[row] = self._label(approaches, failed.state[row, :3] - goal)
        return replace(failed, expert=expert)

    def _label(self, shown: Approaches, at_m: npt.NDArray[np.floating]) -> Floats:
        """Return what is to be done (A,) in -1..1 by a tool at a place from where it has to shut."""
        apart = np.linalg.norm(shown.at_m - at_m, axis=1)
        near = np.argsort(apart, kind="stable")[:NEIGHBOURS]
        shuts = shown.is_shut[near[0]] and apart[near[0]] < SHUTS_M
        unit = self._scale.to_unit([*(shown.next_m[near].mean(axis=0) - at_m), 0.0, 0.0, 0.0, 0.0 if shuts else 1.0])
        unit[3:6] = shown.turn[near].mean(axis=0)
        return unit


def _gathered(ones: Sequence[Trajectory]) -> Approaches | None:
    """Return the approaches of some demonstrations; None where no hand shut."""
    parts = []
    for one in ones:
        stop = shut_row(_openings(one))
        if stop is None:
            continue
        at_m = one.state[:, :3].astype(float)
        rows = np.arange(stop + 1)
        later = np.minimum(rows + 1, len(one) - 1)
        parts.append(
            (at_m[rows] - at_m[stop], at_m[later] - at_m[stop], one.action[rows, 3:6], rows == stop, at_m[stop, 2])
        )
    if not parts:
        return None
    at, later, turn, is_shut = (np.concatenate([part[column] for part in parts]) for column in range(4))
    return Approaches(at, later, turn, is_shut, float(np.median([part[4] for part in parts])))


def _openings(one: Trajectory) -> Floats:
    return (one.action[:, -1] + 1.0) / 2.0


def _tried(failed: Trajectory) -> int:
    """Return how many rows of a try come before its hand had shut: later it may hold, or have moved, the thing."""
    shut = np.flatnonzero((_openings(failed) < SHUT) & failed.is_step)
    return int(shut[0]) + 1 if len(shut) else len(failed)
