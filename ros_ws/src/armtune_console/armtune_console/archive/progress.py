"""A run's episodes as curves and counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from armtune_policies.reward.audit import Rate
from armtune_policies.store.nouns import ABORTED, SAID_SUCCESS, SUCCESS

WINDOW = 20
"""Episodes of one direction over which a rate is taken."""
GOALS = (0.8, 0.9)


@dataclass(frozen=True)
class Row:
    """One finished episode, without its pictures."""

    episode_id: str
    index: int
    direction: str
    sentence: str
    outcome: str
    reason: str
    steps: int
    seconds: float
    """Of motion."""
    policy_version: str
    held_steps: int
    """Steps in which a person held the arm."""
    limited_steps: int
    end_step: int = -1
    mark: str = ""

    @property
    def is_voted(self) -> bool:
        """Whether the reward's vote ended it; what a person said of an episode is no vote."""
        return self.outcome == SUCCESS and self.mark != SAID_SUCCESS


def progress(rows: Sequence[Row], window: int = WINDOW) -> dict[str, Any]:
    """Return curves by direction, the start to compare with, and counts; aborted episodes take time and nothing else.

    A curve is rows of (robot minutes so far, rate of the last ``window`` episodes, its 95 % Wilson interval). The
    start is what the first policy reached before another took its place.
    """
    curves: dict[str, list[tuple[float, float, float, float]]] = {}
    last: dict[str, list[bool]] = {}
    minutes = 0.0
    reached: dict[str, dict[str, float]] = {}
    for row in rows:
        minutes += row.seconds / 60.0
        if row.outcome == ABORTED:
            continue
        recent = last.setdefault(row.direction, [])
        recent.append(row.outcome == SUCCESS)
        del recent[:-window]
        rate = Rate(sum(recent), len(recent))
        share = rate.hits / rate.count
        curves.setdefault(row.direction, []).append((round(minutes, 3), share, *rate.interval))
        for goal in GOALS:
            if len(recent) == window and share >= goal:
                reached.setdefault(row.direction, {}).setdefault(f"{goal:.0%}", round(minutes, 2))
    first = next((row.policy_version for row in rows if row.policy_version), "")
    return {
        "curves": curves,
        "window": window,
        "start": rates([row for row in rows if row.policy_version == first]),
        "all": rates(rows),
        "minutes_to": reached,
        "minutes": round(minutes, 2),
        "interventions": sum(row.held_steps > 0 for row in rows),
        "aborted": sum(row.outcome == ABORTED for row in rows),
        "policies": len({row.policy_version for row in rows if row.policy_version}),
    }


def rates(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Return by direction hits, n, rate and interval of what was tried."""
    tried: dict[str, list[bool]] = {}
    for row in rows:
        if row.outcome != ABORTED:
            tried.setdefault(row.direction, []).append(row.outcome == SUCCESS)
    found = {direction: Rate(sum(hits), len(hits)) for direction, hits in tried.items()}
    return {
        name: {"hits": r.hits, "n": r.count, "rate": r.hits / r.count, "ci95": list(r.interval)}
        for name, r in found.items()
    }


def strip(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain values."""
    return [asdict(row) for row in rows]


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the keys in which two flat configs differ, with both values; None where one lacks it."""
    keys = sorted(set(first) | set(second))
    return [{"key": k, "a": first.get(k), "b": second.get(k)} for k in keys if first.get(k) != second.get(k)]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested groups as dotted names."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found.update(flat(inner, f"{prefix}.{key}" if prefix else str(key)))
    return found
