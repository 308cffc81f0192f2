"""What a run came to, from its episode files: the same however often it was killed and gone on with.

Only what ended an episode and its first and last decision are read, and no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from armtune_policies.contract import DIRECTIONS, topics
from armtune_policies.store import records
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.store.files import TRASH
from armtune_policies.store.mcap_scan import Entry, entries
from armtune_policies.store.nouns import ABORTED, PRACTICE, SOLVED, SUCCESS, EpisodeState

READ = (topics.EPISODE_STATE, topics.DECISION)


@dataclass(frozen=True)
class Span:
    """One episode: how it ended, when it was decided on, and by which start of the gate; -1 where nothing was."""

    about: EpisodeState
    first_ns: int = -1
    last_ns: int = -1
    boot_id: int = 0

    @property
    def steps(self) -> int:
        return self.about.end_step + 1


def spans(paths: Iterable[Path]) -> list[Span]:
    """Read finished files; one that is none of ours is left out."""
    found = []
    for path in paths:
        try:
            found.append(_span(path))
        except ValueError:
            continue
    return [one for one in found if one.about.outcome]


def counted(run: Path) -> dict[str, int]:
    """Return what ``course.Counts`` calls by these names, of a run's files; steps also of those set aside."""
    kept = spans(list_episodes(run))
    aside = spans(sorted((Path(run) / "episodes" / TRASH).glob("*.mcap*")))
    practised = [one.about for one in kept if one.about.purpose in (PRACTICE, "")]
    judged = [about for about in practised if about.outcome != ABORTED]
    won = [about for about in judged if about.outcome == SUCCESS]
    return {
        "episodes": len(judged),
        "steps": sum(one.steps for one in (*kept, *aside)),
        "solved_starts": sum(about.mark == SOLVED for about in practised),
        **{f"episodes_{way}": sum(about.direction == way for about in judged) for way in DIRECTIONS},
        **{f"successes_{way}": sum(about.direction == way for about in won) for way in DIRECTIONS},
    }


def minutes(run: Path, most_gap_s: float) -> tuple[float, int]:
    """Return minutes of the arm's time, ways home included, and in how many sessions they were spent.

    A session is what one start of the gate saw: the control clock may begin anew with the next. What lies between two
    episodes is the arm's time where it is no longer than ``most_gap_s``, as a way home, a nudge and a rest are; else it
    was a person's.
    """
    sessions: dict[int, list[tuple[int, int]]] = {}
    for one in spans(list_episodes(run)):
        if one.first_ns >= 0:
            sessions.setdefault(one.boot_id, []).append((one.first_ns, one.last_ns))
    spent_ns = sum(_spent_ns(sorted(seen), most_gap_s) for seen in sessions.values())
    return round(spent_ns / 60e9, 2), len(sessions)


def _spent_ns(seen: Sequence[tuple[int, int]], most_gap_s: float) -> int:
    gaps = [after[0] - before[1] for before, after in pairwise(seen)]
    return sum(last - first for first, last in seen) + sum(gap for gap in gaps if 0 <= gap <= most_gap_s * 1e9)


def _span(path: Path) -> Span:
    about, first, last = EpisodeState(), None, None
    for entry in entries(path, READ):
        if entry.topic == topics.EPISODE_STATE:
            about = _value(entry)
        elif entry.topic == topics.DECISION:
            first, last = first or entry, entry
    if first is None or last is None:
        return Span(about)
    began, ended = _value(first), _value(last)
    return Span(about, began.stamp_ns, ended.stamp_ns, began.boot_id)


def _value(entry: Entry) -> Any:
    return records.decode(entry.type_name, entry.data, entry.schema)
