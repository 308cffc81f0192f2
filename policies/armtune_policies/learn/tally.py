"""What an agent learns from, set by set: steps, weights, and the share of a batch that they come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .crew import ALONE, Alone
from .trajectory import Trajectory


@dataclass(frozen=True)
class Tally:
    """One set of data; ``transitions`` counts shaken copies, too."""

    trajectories: int
    transitions: int
    weight: float
    share: float
    """Of an offline batch, on average, 0..1."""


def tally(trajectories: Iterable[Trajectory], crew: Alone = ALONE) -> dict[str, Tally]:
    """Count what can be sampled, by set, over all processes."""
    mine = [[one.group, int(one.usable.sum()), one.weight] for one in trajectories]
    rows = crew.pooled(mine)
    total = sum(steps * weight for _, steps, weight in rows) or 1.0
    return {
        group: Tally(
            trajectories=len(found := [row for row in rows if row[0] == group]),
            transitions=sum(steps for _, steps, _ in found),
            weight=found[0][2],
            share=sum(steps * weight for _, steps, weight in found) / total,
        )
        for group in sorted({row[0] for row in rows})
    }


def table(found: dict[str, Tally], nbytes: int) -> str:
    """Return the counts as text, replay memory [bytes] last."""
    rows = [("set", "trajectories", "transitions", "weight", "share")]
    rows += [
        (name, f"{t.trajectories:,}", f"{t.transitions:,}", f"{t.weight:g}", f"{t.share:.0%}")
        for name, t in found.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
    return "\n".join([*lines, f"replay memory: {nbytes:,} bytes"])
