"""The loop all trainings share: seeded by step, resumable, told of progress, safe to interrupt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .checkpoint import load_checkpoint, save_checkpoint
from .interrupt import held


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    step: int
    updates: int
    loss: float


OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Report to nobody."""


@dataclass
class Training:
    """A run of gradient steps over named networks.

    Each step draws from a generator seeded by (seed, step), so a resumed training is the
    same as one that was never interrupted. ``digest`` names data and settings: a
    checkpoint of something else is refused.
    """

    nets: Mapping[str, nn.Module]
    loss: Callable[[np.random.Generator], torch.Tensor]
    updates: int
    learning_rate: float
    weight_decay: float
    seed: int
    digest: str
    checkpoint: Path | None = None
    checkpoint_every: int = 200
    step: int = field(default=0, init=False)
    _recent: list[float] = field(default_factory=list, init=False)
    """Losses of the last tenth."""

    def __post_init__(self) -> None:
        parameters = [p for net in self.nets.values() for p in net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay)
        if self.checkpoint is not None and self.checkpoint.is_file():
            self.step, self._recent = load_checkpoint(self.checkpoint, self.nets, self.optimiser, self.digest)

    def run(self, on_progress: OnProgress = silent, every: int = 10) -> float:
        """Run to the end and return the mean loss of the last tenth; Ctrl-C leaves a checkpoint after its step."""
        with held() as is_asked:
            while self.step < self.updates:
                self._recent = [*self._recent, self._update()][-max(self.updates // 10, 1) :]
                self.step += 1
                if self.step % every == 0 or self.step == self.updates:
                    on_progress(Progress(self.step, self.updates, float(np.mean(self._recent[-every:]))))
                if self.step % self.checkpoint_every == 0 or is_asked():
                    self.save()
                if is_asked():
                    raise KeyboardInterrupt
        return float(np.mean(self._recent)) if self._recent else 0.0

    def save(self) -> None:
        if self.checkpoint is not None:
            save_checkpoint(self.checkpoint, self.nets, self.optimiser, self.step, self.digest, self._recent)

    def _update(self) -> float:
        rng = np.random.default_rng([self.seed, self.step])
        torch.manual_seed(int(rng.integers(2**31)))  # dropout draws from torch
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * _cosine(self.step / self.updates)
        loss = self.loss(rng)
        if not torch.isfinite(loss):
            raise ValueError(f"the loss became {float(loss.detach())} at step {self.step}; lower the learning rate")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in self.optimiser.param_groups for p in group["params"]], 1.0)
        self.optimiser.step()
        return float(loss.detach())


def _cosine(done: float) -> float:
    """Fall from 1 to 0.02 over a run."""
    return 0.02 + 0.98 * 0.5 * (1.0 + float(np.cos(np.pi * done)))
