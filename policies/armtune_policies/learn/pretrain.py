"""Offline training: updates on data that does not grow, resumable to the very same weights.

Continued past its end it is the control of practice: as many updates, no new data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .agent import Agent
from .interrupt import held
from .replay import Replay
from .saved import load_training, save_training


@dataclass(frozen=True)
class Report:
    """Where a training stands, and the losses of its last update."""

    update: int
    updates: int
    losses: dict[str, float]


OnReport = Callable[[Report], None]


def silent(_: Report) -> None:
    """Report to nobody."""


@dataclass
class Pretraining:
    """A run of updates on one replay.

    Each update draws from a generator seeded by (seed, update): a resumed training is the same
    as one that was never interrupted.

    Raises:
        ValueError: when the folder's checkpoint is of other data or settings.
    """

    agent: Agent
    replay: Replay
    updates: int
    """Of the agent's whole life: an agent that has made some makes the rest."""
    seed: int = 0
    folder: Path | None = None
    """Where checkpoints go; None for none."""
    digest: str = ""
    """Names data and settings; a checkpoint of others is refused."""
    report_every: int = 100
    checkpoint_every: int = 2000

    def __post_init__(self) -> None:
        found = load_training(self.folder, self.digest) if self.folder is not None else None
        if found is not None:
            self.agent.restore(found[0])

    def run(self, on_report: OnReport = silent) -> None:
        """Run to the end; Ctrl-C leaves a checkpoint after the update under way."""
        with held() as is_asked:
            while self.agent.updates < self.updates:
                rng = np.random.default_rng([self.seed, self.agent.updates])
                losses = self.agent.update(self.replay.sample(rng, self.agent.params.batch))
                now, is_last = self.agent.updates, self.agent.updates == self.updates
                if now % self.report_every == 0 or is_last:
                    on_report(Report(now, self.updates, {name: float(value) for name, value in losses.items()}))
                if now % self.checkpoint_every == 0 or is_last or is_asked():
                    self.save()
                if is_asked():
                    raise KeyboardInterrupt

    def save(self) -> None:
        """Write a checkpoint, where there is a folder."""
        if self.folder is not None:
            save_training(self.folder, self.agent.state(), self.digest, self.agent.updates)
