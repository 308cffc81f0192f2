"""A judge without training: how near a picture's frozen features are to those of success, and of no success.

After SEABO (Lyu et al., ICLR 2024, arXiv 2402.03807), whose reward falls with the distance to the nearest
of an expert; here the nearest frame without success speaks against it, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.frozen import FrozenEncoder

Features = Callable[[Sequence[Tensor]], Tensor]
"""Images, per camera uint8 (N, H, W, 3), to features float32 (N, F)."""
LIKE_SUCCESS = 0.95
"""Without frames that show none, a picture is as likely a success as not where this part of them is nearer."""


def frozen_features(encoder: FrozenEncoder, spec: ObservationSpec) -> Features:
    """Features by a frozen encoder's folder."""

    def features(images: Sequence[Tensor]) -> Tensor:
        by_camera = {camera: image.cpu().numpy() for camera, image in zip(spec.cameras, images)}
        return torch.from_numpy(np.ascontiguousarray(encoder.features(by_camera), np.float32))

    return features


class Neighbours:
    """A ``Backend`` that remembers labelled frames; nothing is trained."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._yes: dict[str, Tensor] = {}
        self._no: dict[str, Tensor] = {}
        self._scale: Mapping[str, tuple[float, float]] = {}
        self._centre, self._spread = torch.zeros(1), torch.ones(1)

    def remember(self, images: Sequence[Tensor], questions: Sequence[str], is_success: Sequence[bool]) -> None:
        """Keep labelled frames, in place of those kept before.

        Raises:
            ValueError: when a question has fewer than two frames of success.
        """
        seen = self._features(images)
        self._centre, spread = seen.mean(0), seen.std(0, correction=0)
        self._spread = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        seen, done = self._standard(seen), torch.tensor(list(is_success))
        self._yes, self._no, scale = {}, {}, {}
        for question in sorted(set(questions)):
            mine = torch.tensor([asked == question for asked in questions])
            self._yes[question], self._no[question] = seen[mine & done], seen[mine & ~done]
            if len(self._yes[question]) < 2:
                raise ValueError(
                    f"{question!r}: expected two or more frames of success, got {len(self._yes[question])}"
                )
            apart = torch.cdist(self._yes[question], self._yes[question]).fill_diagonal_(torch.inf).min(dim=1).values
            scale[question] = (max(float(apart.mean()), 1e-6), float(apart.quantile(LIKE_SUCCESS)))
        self._scale = scale

    def logits(self, images: Sequence[Tensor], questions: Sequence[str]) -> Tensor:
        """As ``Backend``: how much farther the nearest frame without success is than the nearest with one.

        In units of the mean distance between neighbouring frames of success.
        """
        seen, logits = self._standard(self._features(images)), torch.empty(len(questions))
        for question in set(questions):
            if question not in self._yes:
                raise ValueError(f"no frames of {question!r} are remembered; known: {', '.join(map(repr, self._yes))}")
            mine = torch.tensor([asked == question for asked in questions])
            unit, usual = self._scale[question]
            yes = torch.cdist(seen[mine], self._yes[question]).min(dim=1).values
            no = self._no[question]
            far = torch.cdist(seen[mine], no).min(dim=1).values if len(no) else torch.full_like(yes, usual)
            logits[mine] = (far - yes) / unit
        return logits

    def trainable(self) -> Iterable[nn.Parameter]:
        return ()

    def _standard(self, seen: Tensor) -> Tensor:
        return (seen - self._centre) / self._spread
