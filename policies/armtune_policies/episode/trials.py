"""How policies are compared: a fixed plan of trials, and what came of it. Pure.

Every scene is tried in both directions by each policy, one right after the other, in an order drawn by the seed: what
drifts (light, wear, a person's mood) meets all alike, and who judges cannot tell whose turn it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from armtune_policies.contract import DIRECTIONS, Direction

from .rate import wilson

WAYS: dict[str, tuple[Direction, ...]] = {**{way: (way,) for way in DIRECTIONS}, "both": DIRECTIONS}
TABLE = ((True, True), (True, False), (False, True), (False, False))
"""What may come of a pair."""


@dataclass(frozen=True)
class Trial:
    """One episode to be acted."""

    number: int
    scene: int
    """From 0; the same for all policies and both directions."""
    direction: Direction
    policy: int
    """Which of those compared."""


def plan(scenes: int, policies: int, seed: int) -> tuple[Trial, ...]:
    """Return the trials in order: ``scenes`` x both directions x ``policies``."""
    found: list[Trial] = []
    for scene in range(scenes):
        for way, direction in enumerate(DIRECTIONS):
            order = np.random.default_rng([seed, scene, way]).permutation(policies)
            found += [Trial(len(found) + at, scene, direction, int(policy)) for at, policy in enumerate(order)]
    return tuple(found)


def difference(both: int, first: int, second: int, neither: int) -> tuple[float, float, float]:
    """Return the first rate less the second, of pairs, with its 95 % interval.

    Newcombe 1998 (10.1002/(SICI)1097-0258(19981130)17:22<2635), method 10: from Wilson's bounds of both rates, and from
    how the pairs hang together, phi with its correction for continuity.

    Args:
        both: Pairs in which both did it.
        first: In which only the first did.
        second: In which only the second did.
        neither: In which none did.
    """
    n = both + first + second + neither
    rate, rest = (both + first) / n, (both + second) / n
    (low, high), (other_low, other_high) = wilson(both + first, n), wilson(both + second, n)
    phi = _phi(both, first, second, neither)
    below = _joined(rate - low, other_high - rest, phi)
    above = _joined(high - rate, rest - other_low, phi)
    return rate - rest, rate - rest - below, rate - rest + above


def _phi(both: int, first: int, second: int, neither: int) -> float:
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not margins:
        return 0.0
    product = both * neither - first * second
    if product > 0:
        product = max(product - (both + first + second + neither) / 2, 0)  # type: ignore[assignment]
    return product / math.sqrt(margins)


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def sign_test(more: int, less: int) -> float:
    """Return the exact two-sided p of so many pairs won and lost, ties left out (McNemar)."""
    n = more + less
    return min(1.0, 2.0 * sum(math.comb(n, k) for k in range(min(more, less) + 1)) / 2**n)


def summary(trials: Sequence[Trial], outcomes: Mapping[int, bool], names: Sequence[str]) -> dict[str, Any]:
    """Return what trials that are done say, as JSON can say it; of two policies also the first less the second.

    Args:
        trials: Of the plan.
        outcomes: By the trial's number, whether it was done.
        names: Of the policies, in the plan's order.
    """
    done = [trial for trial in trials if trial.number in outcomes]
    rows = {name: {way: _counted(done, outcomes, at, those) for way, those in WAYS.items()}
            for at, name in enumerate(names)}  # fmt: skip
    found: dict[str, Any] = {"n": len(done), "of": len(trials), "policies": rows}
    if len(names) == 2 and len(done) > 1:
        found |= _compared(done, outcomes, len(done) == len(trials))
    return found


def _counted(
    done: Sequence[Trial], outcomes: Mapping[int, bool], policy: int, ways: Sequence[Direction]
) -> dict[str, Any]:
    tried = [outcomes[trial.number] for trial in done if trial.policy == policy and trial.direction in ways]
    if not tried:
        return {"successes": 0, "n": 0, "ci95": [0.0, 1.0]}
    return {"successes": sum(tried), "n": len(tried), "ci95": _rounded(*wilson(sum(tried), len(tried)))}


def _compared(done: Sequence[Trial], outcomes: Mapping[int, bool], is_all: bool) -> dict[str, Any]:
    """Return what whole pairs say; p only once all is tried: looked at again and again it would be no p."""
    pairs: dict[tuple[int, Direction], dict[int, bool]] = {}
    for trial in done:
        pairs.setdefault((trial.scene, trial.direction), {})[trial.policy] = outcomes[trial.number]
    whole = {(way, scene): (pair[0], pair[1]) for (scene, way), pair in pairs.items() if len(pair) == 2}
    gaps = {}
    for name, ways in WAYS.items():
        these = Counter(pair for (way, _), pair in whole.items() if way in ways)
        if these:
            gap, *ci95 = difference(*(these[pair] for pair in TABLE))
            gaps[name] = {"points": round(100 * gap, 1), "ci95": [round(100 * bound, 1) for bound in ci95]}
    counts = Counter(whole.values())
    more, less = counts[True, False], counts[False, True]
    said = {"pairs": len(whole), "first_only": more, "second_only": less}
    return {"difference": gaps, **said, **({"p": round(sign_test(more, less), 4)} if is_all else {})}


def _rounded(*values: float) -> list[float]:
    return [round(value, 3) for value in values]
