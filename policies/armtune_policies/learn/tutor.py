"""What a failed try should have done, where that is known afterwards: labels by hindsight.

A practising arm puts things down itself, so it often knows where the next try has to take hold, though the policy
does not see it well. Demonstrations tell how a hand goes from anywhere to where it shuts: shifted to that place, they
tell what each observation of the try asked for. Whether the hand then holds something, it feels: demonstrations tell
how that is carried, and where it is let go of. So a failure teaches where it was wrong, as an expert's labels of the
learner's own states do (DAgger, Ross et al. 2011, 1011.0686); the goal reached is known instead of relabelled
(Andrychowicz et al. 2017, 1707.01495).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from armtune_policies.episode.carry import OPEN
from armtune_policies.episode.motion import HELD
from armtune_policies.episode.nudge import SHUT, shut_row

from .scaling import ActionScale
from .trajectory import Floats, Trajectory, shown

NEIGHBOURS = 3
"""Demonstrated rows whose next places are averaged."""
SHUTS_M, SHUTS_HIGH_M = 0.012, 0.015
"""A hand so near to where the thing stands, across and in height, shuts. Where it has to come nearer, one that hovers
is told to stay open, and learns to hover (docs/results.md)."""
OPENS_M, OPENS_HIGH_M = 0.015, 0.015
"""A hand so near to where a demonstrated one opened, across and in height, opens, too. Across it may be as far as half
of those places are from the next at least: where a thing may be put anywhere it may be put between them. Told to hold
it there, a hand learns to hover and to hold on (docs/results.md)."""
RESTS = 0.05
"""A hand whose opening (0 to 1) changes by less in a step rests; a step of practice is many of a motion's periods
(``episode.motion.GRIPPED``)."""
HELD_MOST = 0.5
"""A demonstration has carried something where it held it in so many of the rows from shut to open: it takes some to
shut, and one to open."""


@dataclass(frozen=True)
class Ways:
    """Rows of demonstrations up to an event: to where the hand shut, or from there to where it opened."""

    at_m: npt.NDArray[np.floating]
    """(N, 3): from where it shut, or from the base."""
    next_m: npt.NDArray[np.floating]
    """(N, 3), a row later."""
    turn: Floats
    """(N, 3) in -1..1: how the tool was turned."""
    is_event: npt.NDArray[np.bool_]
    """(N,): whether it happened here."""


class Tutor:
    """Says what tries should have done, by the demonstrations of a task pair, whose table is the one practised on.

    Args:
        trajectories: Of these the pair's successes; one of an episode's copies.
        scale: Of their actions.
    """

    def __init__(self, trajectories: Iterable[Trajectory], scale: ActionScale) -> None:
        self._scale = scale
        self._approaches: dict[int, tuple[Ways, float]] = {}
        self._carriages: dict[int, tuple[Ways, float]] = {}
        for sentence, ones in enumerate(shown(trajectories)):
            cut = [(one, shut) for one in ones if (shut := shut_row(_openings(one))) is not None]
            if cut:
                height_m = float(np.median([one.state[shut, 2] for one, shut in cut]))
                self._approaches[sentence] = _joined([_approach(one, shut) for one, shut in cut]), height_m
            if carried := [way for one, shut in cut if (way := _carriage(one, shut)) is not None]:
                ways = _joined(carried)
                self._carriages[sentence] = ways, max(OPENS_M, _apart_m(ways.at_m[ways.is_event]))

    def taught(self, failed: Trajectory, stands_m: Sequence[float]) -> Trajectory:
        """Return a failed try with its labels; as it is where nothing is known.

        Args:
            failed: A try; one that succeeded needs no label.
            stands_m: Where the thing stood when it began: x, y [m], or nothing.
        """
        if failed.imitate:
            return failed
        expert = np.full(failed.action.shape, np.nan, np.float32)
        if failed.sentence in self._approaches and len(stands_m):
            ways, height_m = self._approaches[failed.sentence]
            for row in range(_tried(failed)):
                at_m = failed.state[row, :3] - np.array([*stands_m, height_m])
                is_there = np.linalg.norm(at_m[:2]) < SHUTS_M and abs(at_m[2]) < SHUTS_HIGH_M
                expert[row] = self._label(ways, at_m, 0.0 if is_there else 1.0)
        if failed.sentence in self._carriages:
            ways, opens_m = self._carriages[failed.sentence]
            for row in _holding(failed):
                at_m = failed.state[row, :3].astype(float)
                off_m = np.abs(ways.at_m[ways.is_event] - at_m)
                is_there = (np.linalg.norm(off_m[:, :2], axis=1) < opens_m) & (off_m[:, 2] < OPENS_HIGH_M)
                expert[row] = self._label(ways, at_m, 1.0 if is_there.any() else 0.0)
        return replace(failed, expert=expert) if np.isfinite(expert).any() else failed

    def _label(self, ways: Ways, at_m: npt.NDArray[np.floating], opening: float) -> Floats:
        """Return what is to be done (A,) in -1..1 by a tool at a place [m] (3,)."""
        near = np.argsort(np.linalg.norm(ways.at_m - at_m, axis=1), kind="stable")[:NEIGHBOURS]
        unit = self._scale.to_unit([*(ways.next_m[near].mean(axis=0) - at_m), 0.0, 0.0, 0.0, opening])
        unit[3:6] = ways.turn[near].mean(axis=0)
        return unit


def _approach(one: Trajectory, shut: int) -> Ways:
    """Return a demonstration up to where its hand shut, in places from there."""
    return _rows(one, np.arange(shut + 1), one.state[shut, :3].astype(float))


def _carriage(one: Trajectory, shut: int) -> Ways | None:
    """Return how a demonstration carried what it had hold of at last, up to where it let go; None where it did not.

    It may have missed at first, or have let go too early and taken hold again.
    """
    is_shut = _openings(one) < SHUT
    opens = 1 + np.flatnonzero(is_shut[:-1] & ~is_shut[1:])
    if not len(opens) or opens[-1] <= shut:
        return None
    rows = np.arange(np.flatnonzero(~is_shut[: opens[-1] - 1])[-1] + 2, opens[-1] + 1)
    return _rows(one, rows, np.zeros(3)) if np.isin(rows, _holding(one)).mean() >= HELD_MOST else None


def _rows(one: Trajectory, rows: npt.NDArray[np.integer], origin_m: npt.NDArray[np.floating]) -> Ways:
    """Return rows of a demonstration in places from an origin; the last of them is the event."""
    at_m, later = one.state[:, :3].astype(float) - origin_m, np.minimum(rows + 1, len(one) - 1)
    return Ways(at_m[rows], at_m[later], one.action[rows, 3:6], rows == rows[-1])


def _joined(parts: Sequence[Ways]) -> Ways:
    """Return the rows of all."""
    columns = ("at_m", "next_m", "turn", "is_event")
    return Ways(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def _apart_m(places_m: npt.NDArray[np.floating]) -> float:
    """Return how far across half of the places (N, 3) are from the next at least [m]; 0 for one."""
    if len(places_m) < 2:
        return 0.0
    gaps_m = np.linalg.norm(places_m[:, None, :2] - places_m[None, :, :2], axis=2)
    return float(np.median(np.where(np.eye(len(places_m), dtype=bool), np.inf, gaps_m).min(axis=1)))


def _openings(one: Trajectory) -> Floats:
    return (one.action[:, -1] + 1.0) / 2.0


def _tried(failed: Trajectory) -> int:
    """Return how many rows of a try come before its hand had shut: later it may hold, or have moved, the thing."""
    shut = np.flatnonzero((_openings(failed) < SHUT) & failed.is_step)
    return int(shut[0]) + 1 if len(shut) else len(failed)


def _holding(failed: Trajectory) -> npt.NDArray[np.integer]:
    """Return the rows of a try whose hand held something: told to shut for two steps it rests, wider than it was told.

    A hand on its way from shut to open is as wide for a moment, and holds nothing.
    """
    told, opening = _openings(failed), failed.state[:, -1]
    is_held = (told[1:-1] < SHUT) & (told[:-2] < SHUT) & (np.abs(opening[2:] - opening[1:-1]) < RESTS)
    is_held &= (opening[2:] >= told[1:-1] + HELD) & (opening[2:] < OPEN)
    return 2 + np.flatnonzero(is_held & failed.is_step[2:])
