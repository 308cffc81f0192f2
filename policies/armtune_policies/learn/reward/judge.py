"""What the judges have in common: a net asked by sentence, how familiar a picture is, and the graph that is served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.learn.sentences import embed

from .background import Background

Embeddings = Mapping[str, npt.NDArray[np.float32]]
LEAST = 1e-3
"""Part of the largest that counts as a change: less of it may be how a runtime rounds."""


class Net(Protocol):
    """A network that answers embedded sentences; ``Student`` and ``DualEncoder`` are such."""

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return (N, F) that tells whether a picture is like those trained on."""
        ...

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of yes for sentence embeddings (N, 384)."""
        ...

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks, what they share computed once."""
        ...


class Asked:
    """A ``Backend`` of a net: sentences in words, embedded once and kept."""

    def __init__(
        self, net: nn.Module, embeddings: Embeddings | None = None, embed: Callable[[Sequence[str]], Embeddings] = embed
    ) -> None:
        """``net`` is a ``Net``; ``embeddings`` are known already, others are made by ``embed`` when first asked."""
        self.net: Any = net
        self.known, self._embed = dict(embeddings or {}), embed

    def sentences(self, questions: Sequence[str]) -> Tensor:
        """Return the embeddings (N, 384) of N sentences.

        Raises:
            ValueError: for a blank one.
        """
        if any(not question.strip() for question in questions):
            raise ValueError("question: expected a sentence such as 'open the drawer', got a blank one")
        if new := [question for question in dict.fromkeys(questions) if question not in self.known]:
            self.known.update(self._embed(new))
        return torch.from_numpy(np.stack([self.known[question] for question in questions]))

    def logits(self, images: Sequence[Tensor], questions: Sequence[str]) -> Tensor:
        """Return (N,) logits of yes, before calibration."""
        found: Tensor = self.net.logits(images, self.sentences(questions))
        return found

    def trainable(self) -> Iterable[nn.Parameter]:
        """Return what is not locked."""
        return (p for p in self.net.parameters() if p.requires_grad)


class Familiarity(nn.Module):
    """How unlike a set of features others are: log(1 + distance), each feature by its own spread.

    The distance is Mahalanobis's over the principal axes, but of the axis that differs most, for a dark picture
    differs along one and would drown in the mean; what lies off those axes counts as one more, by its length against
    the usual one: a place never seen is mostly there (Lee et al. 2018 for the first, Ndiour et al. 2020 for the rest).
    """

    mean: Tensor
    unit: Tensor
    axes: Tensor
    spread: Tensor
    off: Tensor

    def __init__(self, size: int, axes: int = 48) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("unit", torch.ones(size))
        self.register_buffer("axes", torch.zeros(size, axes))
        self.register_buffer("spread", torch.ones(axes))
        self.register_buffer("off", torch.ones(()))

    @classmethod
    def fitted(cls, features: npt.NDArray[np.floating], axes: int = 48) -> Familiarity:
        """Return what knows features (N, F)."""
        mean, unit = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        size = float(np.sqrt(np.square(features, dtype=np.float64).mean()))
        unit += 0.2 * np.median(unit) + LEAST * size + 1e-6  # what hardly changes is not asked for more than that
        centred = (features - mean) / unit
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        count = max(min(axes, int((sizes > LEAST * sizes[0]).sum())), 1)
        made = cls(features.shape[1], count)
        onto = directions[:count].T
        rest = centred - centred @ onto @ onto.T
        made.mean.copy_(torch.from_numpy(mean))
        made.unit.copy_(torch.from_numpy(unit))
        made.axes.copy_(torch.from_numpy(np.ascontiguousarray(onto)))
        made.spread.copy_(torch.from_numpy(sizes[:count] / np.sqrt(len(features)) + 1e-6))
        made.off.fill_(float(np.sqrt((rest**2).sum(axis=1).mean())) + LEAST)
        return made

    def forward(self, features: Tensor) -> Tensor:
        """Return (N,) distances of features (N, F)."""
        centred = (features - self.mean) / self.unit
        along = centred @ self.axes
        rest = centred - along @ self.axes.T
        off = rest.square().sum(dim=1) / self.off.square()
        return torch.log1p(torch.sqrt((along / self.spread).square().amax(dim=1) + off))


class Served(nn.Module):
    """The graph that ``reward_node`` runs: images and a sentence to a calibrated probability and a distance."""

    temperature: Tensor

    def __init__(
        self, net: nn.Module, familiarity: Familiarity, temperature: float, background: Background | None = None
    ) -> None:
        super().__init__()
        self.net: Any = net
        self.familiarity, self.background = familiarity, background
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N,) probabilities and distances of one uint8 (N, H, W, 3) per camera and the sentence (N, 384)."""
        images, sentence = inputs[:-1], inputs[-1]
        logits, looks = self.net.both(images, sentence)
        distance = self.familiarity(looks)
        if self.background is not None:
            distance = torch.maximum(distance, self.background(images).to(distance.device))
        return torch.sigmoid(logits / self.temperature), distance
