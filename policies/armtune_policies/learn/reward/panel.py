"""A panel of students, trained apart on the same frames, whose answers are averaged.

Each errs in places of its own (deep ensembles, Lakshminarayanan et al. 2017, arXiv:1612.01474; here the logits are
averaged, which the temperature that follows asks for). It is one graph, as a single student is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.loop import OnProgress, Progress, silent
from armtune_policies.learn.networks import seed_everything
from armtune_policies.reward.calibrate import CalibrationParams
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.reward.metrics import VoteRule

from .fit import FitParams, Fitted, calibrated, learn, refuse_none
from .judge import Asked, Embeddings
from .student import Student


class Panel(nn.Module):
    """A ``Net`` of several; what is familiar is the first one's business, for all were shown the same."""

    def __init__(self, members: Sequence[Student]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def students(self) -> list[Student]:
        return [cast(Student, member) for member in self.members]

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return what tells whether a picture is like those trained on, (N, F)."""
        return self.students[0].look(images)

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of one uint8 (N, H, W, 3) per camera and the sentence (N, 384), before calibration."""
        return torch.stack([student.logits(images, sentence) for student in self.students]).mean(dim=0)

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks."""
        first, *rest = self.students
        logits, looks = first.both(images, sentence)
        return torch.stack([logits, *(student.logits(images, sentence) for student in rest)]).mean(dim=0), looks


def untrained(spec: ObservationSpec, members: int, seed: int) -> Panel:
    """Return a panel of new students, each drawn by a seed of its own, the first by ``seed``, the next by one more."""
    students = []
    for number in range(members):
        seed_everything(seed + number)
        students.append(Student(spec))
    return Panel(students)


def restored(spec: ObservationSpec, weights: Mapping[str, Tensor]) -> Panel:
    """Return the panel whose weights these are.

    Raises:
        ValueError: when they are of something else.
    """
    numbers = [int(name.split(".")[1]) for name in weights if name.startswith("members.")]
    panel = Panel([Student(spec) for _ in range(max(numbers, default=0) + 1)])
    try:
        panel.load_state_dict(dict(weights))
    except RuntimeError as why:
        said = " ".join(str(why).split())[:200]
        raise ValueError(f"expected the weights of a panel of students, got others ({said}); train it anew") from None
    return panel


def fit_panel(
    panel: Panel,
    known: Embeddings,
    train: FrameSet,
    held: FrameSet,
    params: FitParams,
    calibration: CalibrationParams,
    seed: int,
    targets: npt.NDArray[np.float32] | None = None,
    checkpoint: Path | None = None,
    on_progress: OnProgress = silent,
    rule: VoteRule | None = None,
) -> Fitted:
    """Train each member by itself, as ``fit`` does one judge, then calibrate them together.

    Args and errors are ``fit``'s. A member's batches are drawn by a seed one more than the one's before, and its
    checkpoint is named by its number, so a panel that is wanted larger goes on from the one there is.
    """
    refuse_none(held)
    losses, count = list[float](), len(panel.members)
    for number, student in enumerate(panel.students):
        kept = checkpoint and (checkpoint.with_name(f"{number}-{checkpoint.name}") if number else checkpoint)
        told = partial(_told, on_progress, number, count)
        losses.append(learn(Asked(student, known), train, params, seed + number, targets, kept, told))
    metrics = {"loss": float(np.mean(losses))}
    return calibrated(Asked(panel, known), train, held, params, calibration, metrics, rule or VoteRule())


def _told(on_progress: OnProgress, number: int, count: int, p: Progress) -> None:
    on_progress(replace(p, step=number * p.updates + p.step, updates=count * p.updates))
