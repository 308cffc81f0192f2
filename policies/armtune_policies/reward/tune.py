"""Which vote errs least on recorded episodes: k of n, and how far the gripper must be open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from armtune_policies.store.files import write_whole

from .frameset import FrameSet
from .metrics import VoteRule, by_question

WINDOWS, OPENINGS = (1, 2, 3, 4, 5), (0.0, 0.5, 0.7)


@dataclass(frozen=True)
class Tried:
    """A vote and how it erred: the worst question's rates."""

    rule: VoteRule
    false_stops: float
    misses: float

    @property
    def cost(self) -> float:
        """A false stop teaches the arm a lie, a miss costs an episode: weighed two to one."""
        return 2.0 * self.false_stops + self.misses


def tune(frames: FrameSet, said: npt.NDArray[np.uint8], openings: Sequence[float] = OPENINGS) -> list[Tried]:
    """Return every vote tried, the best first; of equals, the one that answers soonest and asks least.

    Args:
        frames: Frames of whole episodes, with what is true of them.
        said: Verdicts of the judge, (N,).
        openings: Least openings of the gripper to try, 0..1.
    """
    found = []
    for rule in _rules(openings):
        reports = by_question(frames, said, rule).values()
        stops = max(one.episode_false_stop or 0.0 for one in reports)
        found.append(Tried(rule, stops, max(one.episode_miss or 0.0 for one in reports)))
    return sorted(found, key=lambda t: (t.cost, t.rule.need, t.rule.window, t.rule.opening))


def _rules(openings: Sequence[float]) -> Iterator[VoteRule]:
    for window in WINDOWS:
        for need in range(1, window + 1):
            for opening in openings:
                yield VoteRule(need, window, opening)


def write_vote(path: Path, rule: VoteRule) -> None:
    """Write a vote as a config file for the group ``episode``."""
    head = "# When an episode succeeds: chosen on recorded episodes by `armtune reward tune`.\n"
    values = {"vote_need": rule.need, "vote_window": rule.window, "vote_opening": rule.opening}
    write_whole(path, (head + yaml.safe_dump(values, sort_keys=False)).encode())
