"""Several students that learn apart and answer together: what one of them takes for a success by chance, others do not.

Nets that differ by nothing but where their training began err differently, and their mean errs less and is better
calibrated than any of them (Lakshminarayanan et al. 2017, arXiv:1612.01474).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec

from .student import Student

MEMBER = "members."
"""So begin the names of an ensemble's weights."""


class Ensemble(nn.Module):
    """Answers by the mean of its members' logits; the first one tells what a picture is like."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return the first member's looks, (N, F)."""
        looks: Tensor = members_of(self)[0].look(images)
        return looks

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N,) and looks (N, F)."""
        first, *others = members_of(self)
        logits, looks = first.both(images, sentence)
        return torch.stack([logits, *(other.logits(images, sentence) for other in others)]).mean(dim=0), looks

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits, before calibration."""
        return apart(self, images, sentence).mean(dim=0)


def members_of(net: Any) -> list[Any]:
    """Return the members of an ensemble; any other net is the only one of its own."""
    return list(net.members) if isinstance(net, Ensemble) else [net]


def apart(net: Any, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
    """Return the logits of each member, (M, N), for each to learn by its own."""
    return torch.stack([member.logits(images, sentence) for member in members_of(net)])


def students(spec: ObservationSpec, count: int) -> nn.Module:
    """Return an untrained student, or an ensemble of so many."""
    return Student(spec) if count == 1 else Ensemble([Student(spec) for _ in range(count)])


def restored(spec: ObservationSpec, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return the student or the ensemble that these are the weights of."""
    numbers = [int(name.removeprefix(MEMBER).split(".")[0]) for name in weights if name.startswith(MEMBER)]
    net = students(spec, max(numbers, default=0) + 1)
    net.load_state_dict(weights)
    return net
