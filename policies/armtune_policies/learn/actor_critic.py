"""The networks of the agent: projections, a tanh-Gaussian actor, an ensemble of critics.

A projection turns what is seen into at most 128 numbers, once per state. A critic's first
layer is split, ``W [z; a] = W_z z + W_a a``, so thirty actions at one state cost the state's
part once. An ensemble is a stack of weights and one batched matrix product per layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FAR = 5.0
"""Spreads from the mean beyond which an input says no more than "far"."""
LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
EDGE = 0.99
"""Recorded actions are pulled in to this before atanh, which is infinite at the bounds themselves."""


class Seen(NamedTuple):
    """Observations: ``vector`` (B, D), features then state; ``sentence`` (B,) rows of the table of sentences.

    Agents that learn from ``pixels`` see ``image``, uint8 (B, H, W, C), still to be shifted by
    ``shift`` (B, 2) where that is given; ``Networks.look`` puts numbers (B, F) in its place.
    """

    vector: Tensor
    sentence: Tensor
    image: Tensor | None = None
    shift: Tensor | None = None

    def detached(self) -> Seen:
        """Return the same, through which no gradient reaches the network over images."""
        return self if self.image is None else self._replace(image=self.image.detach())


class Projection(nn.Module):
    """Features, state and sentence to ``z`` (B, width): Linear, LayerNorm, tanh (the trunk of DrQ-v2).

    The sentence's part of the product is made once per sentence, not once per row.
    """

    mean: Tensor
    scale: Tensor
    table: Tensor

    def __init__(self, vector_size: int, sentences: Tensor | None, width: int) -> None:
        """``sentences`` float32 (S, E) are the embeddings the data's indices mean; None where there is no language."""
        super().__init__()
        table = torch.zeros(1, 0) if sentences is None else sentences.clone()
        self.register_buffer("mean", torch.zeros(vector_size))
        self.register_buffer("scale", torch.ones(vector_size))
        self.register_buffer("table", table)
        self.width = width
        self.vector = nn.Linear(vector_size, width)
        self.sentence = nn.Linear(table.shape[1], width, bias=False) if table.shape[1] else None
        self.norm = nn.LayerNorm(width)

    def set_scale(self, mean: Tensor, std: Tensor) -> None:
        """Standardise inputs as the data (D,) are spread; what never moves keeps scale 1."""
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(std > 1e-3, std, torch.ones_like(std)))

    def forward(self, seen: Seen) -> Tensor:
        return self.squashed(self.drive(seen))

    def drive(self, seen: Seen) -> Tensor:
        """Return the product, before its norm, (B, width)."""
        drive = self.vector(self.near(seen.vector))
        if self.sentence is not None:
            drive = drive + F.embedding(seen.sentence, self.sentence(self.table))
        return drive

    def near(self, vector: Tensor) -> Tensor:
        """Return the standardised vector, (B, D)."""
        return torch.clamp((vector - self.mean) / self.scale, -FAR, FAR)

    def squashed(self, drive: Tensor) -> Tensor:
        """Return ``z`` of a product, (B, width)."""
        return torch.tanh(self.norm(drive))


class Standardised(Projection):
    """No projection: ``z`` is the standardised vector itself, for states of few numbers where nothing is said."""

    def __init__(self, vector_size: int) -> None:
        super().__init__(vector_size, None, vector_size)
        del self.vector, self.norm

    def forward(self, seen: Seen) -> Tensor:
        return self.near(seen.vector)


class Actor(nn.Module):
    """A Gaussian before its tanh: actions lie in -1..1 and have an exact density (Haarnoja et al. 2018, appendix C)."""

    def __init__(self, width: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        sizes = [width, *hidden]
        layers: list[nn.Module] = []
        for size_in, size_out in itertools.pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), nn.LayerNorm(size_out), nn.ReLU()]
        self.torso = nn.Sequential(*layers)
        self.out = nn.Linear(sizes[-1], 2 * action_size)
        nn.init.uniform_(self.out.weight, -1e-2, 1e-2)
        nn.init.zeros_(self.out.bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation before the tanh, (B, A) each."""
        hidden = self.torso(z)
        with torch.autocast(hidden.device.type, enabled=False):
            mean, squeezed = self.out(hidden.to(self.out.weight.dtype)).chunk(2, dim=-1)
        half = (LOG_STD_HIGH - LOG_STD_LOW) / 2
        return mean, LOG_STD_LOW + half * (1.0 + torch.tanh(squeezed))


def sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return actions (K, B, A) and their log densities (K, B) for standard normal ``noise`` (K, B, A)."""
    raw = mean + log_std.exp() * noise
    return torch.tanh(raw), _log_density(noise, log_std, raw)


def log_density(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Return the log density (B,) of recorded actions (B, A), pulled in from the bounds to ``EDGE``."""
    raw = torch.atanh(action.clamp(-EDGE, EDGE))
    return _log_density((raw - mean) * torch.exp(-log_std), log_std, raw)


def _log_density(standard: Tensor, log_std: Tensor, raw: Tensor) -> Tensor:
    gaussian = -0.5 * standard.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh(u)^2), written so that it neither overflows nor cancels
    squash = 2.0 * (math.log(2.0) - raw - F.softplus(-2.0 * raw))
    return (gaussian - squash).sum(dim=-1)


class Critics(nn.Module):
    """``count`` functions Q(z, a), or V(z) where ``action_size`` is 0; LayerNorm after each layer (RLPD).

    LayerNorm has a shift but no gain: the next layer's weights absorb a positive gain before a ReLU.
    """

    def __init__(self, count: int, width: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.count, self.action_size = count, action_size
        self.first = _stack(count, width + action_size, hidden[0])
        self.deep = nn.ParameterList([_stack(count, a, b) for a, b in itertools.pairwise(hidden)])
        self.shift = nn.ParameterList([nn.Parameter(torch.zeros(count, 1, size)) for size in hidden])
        self.out = _stack(count, hidden[-1], 1)
        self.bias = nn.Parameter(torch.zeros(count, 1, 1))

    def forward(
        self, z: Tensor, action: Tensor | None = None, pick: Tensor | None = None, fixed: bool = False
    ) -> Tensor:
        """Return Q (N, K, B) of states (B, Z) and K actions at each, (K, B, A).

        Args:
            z: Projected states.
            action: In -1..1; None for V, which has K = 1.
            pick: Which critics to ask, (M,), each once; the others cost nothing. None for all.
            fixed: Let gradients reach ``z`` and ``action`` but not the weights: what an actor wants.
        """
        use = self._weights(pick, fixed)
        first = use(self.first)
        if action is None:
            drive = _each(z, first)
        elif action.shape[0] == 1:
            drive = _each(torch.cat([z, action[0]], dim=1), first)
        else:
            here = _each(z, first[:, : z.shape[1]])
            there = _each(action.flatten(0, 1), first[:, z.shape[1] :])
            drive = there.unflatten(1, action.shape[:2]).add_(here.unsqueeze(1)).flatten(1, 2)
        hidden = _norm_relu(drive, use(self.shift[0]))
        for weight, shift in zip(self.deep, list(self.shift)[1:]):
            hidden = _norm_relu(torch.bmm(hidden, use(weight)), use(shift))
        with torch.autocast(hidden.device.type, enabled=False):  # bfloat16 cannot tell -50 from -50.2
            # A product with one column is slow as a matrix product: 15 % of an update.
            value = (hidden.to(self.out.dtype) * use(self.out).mT).sum(dim=2, keepdim=True) + use(self.bias)
        return value.view(len(value), -1, len(z))

    def _weights(self, pick: Tensor | None, fixed: bool):
        is_all = pick is None or len(pick) == self.count

        def use(weight: Tensor) -> Tensor:
            chosen = weight if is_all else weight[pick]
            return chosen.detach() if fixed else chosen

        return use


def _each(rows: Tensor, weight: Tensor) -> Tensor:
    """Return the same rows (R, in) through each critic's weights (N, in, out); ``matmul`` would copy the weights."""
    return torch.bmm(rows.expand(len(weight), -1, -1), weight)


def _norm_relu(drive: Tensor, shift: Tensor) -> Tensor:
    gain = torch.ones_like(shift[0, 0])  # without one, torch's kernel for CPUs takes twice as long
    return F.layer_norm(drive, drive.shape[-1:], gain).add_(shift).relu_()


def _stack(count: int, size_in: int, size_out: int) -> nn.Parameter:
    """Return weights (count, in, out), uniform as ``nn.Linear`` starts."""
    bound = 1.0 / math.sqrt(size_in)
    return nn.Parameter(torch.empty(count, size_in, size_out).uniform_(-bound, bound))
