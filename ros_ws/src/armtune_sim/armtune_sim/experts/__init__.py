"""Scripted experts by task and direction: they make demonstrations, nothing else."""

from __future__ import annotations

import numpy as np

from armtune_policies.contract import ActionSpec, ConfigError, Direction

from . import bin_sort, drawer, lid
from .script import Expert, Plan

EXPERTS: dict[str, dict[Direction, Plan]] = {
    "drawer": {"forward": drawer.forward, "backward": drawer.backward},
    "bin_sort": {"forward": bin_sort.forward, "backward": bin_sort.backward},
    "lid": {"forward": lid.forward, "backward": lid.backward},
}


def make_expert(
    task: str,
    direction: Direction,
    rng: np.random.Generator,
    noise: float = 0.0,
    failure_rate: float = 0.0,
    spec: ActionSpec | None = None,
) -> Expert:
    """Return an expert for one episode.

    Raises:
        ConfigError: when no expert knows the task.
    """
    if task not in EXPERTS:
        raise ConfigError(f"task: expected one of {', '.join(EXPERTS)}; got {task!r}")
    return Expert(EXPERTS[task][direction], spec or ActionSpec(), rng, noise, failure_rate)


__all__ = ["EXPERTS", "Expert", "make_expert"]
