"""A reward learnt from comparisons: which of two pictures is nearer to done, as a judge sees it.

After RL-VLM-F (Wang et al., ICML 2024, arXiv 2402.03681): pairs are judged, those without a clear answer
left out, and an ensemble of small networks learns a score whose differences explain the answers (Bradley and
Terry 1952). All members are one batched matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import Checked, digest, num
from armtune_policies.learn.checkpoint import fingerprint
from armtune_policies.learn.loop import OnProgress, Training, silent
from armtune_policies.learn.networks import seed_everything

from .backend import Backend

JUDGED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class PreferenceParams(Checked):
    """How comparisons are made and learnt from."""

    pairs: int = num(1000, low=1, high=1_000_000, doc="pairs that are compared")
    unclear: float = num(0.2, low=0.0, high=100.0, doc="pairs whose logits differ by less have no answer")
    members: int = num(3, low=1, high=100, doc="networks of the ensemble")
    hidden: int = num(64, low=1, high=4096, doc="width of each")
    updates: int = num(500, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(64, low=1, high=4096, doc="pairs per gradient step and member")
    learning_rate: float = num(1e-3, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-4, low=0.0, high=1.0, doc="of AdamW")


@dataclass(frozen=True)
class Pairs:
    """Comparisons of frames: rows ``first`` and ``second``, int64 (P,); ``is_first`` nearer to done, bool (P,)."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    is_first: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def judge_pairs(
    judge: Backend, images: Sequence[Tensor], question: str, params: PreferenceParams, seed: int = 0
) -> Pairs:
    """Draw pairs of frames and let a judge compare them; unclear ones are left out.

    Args:
        judge: Who is asked; each frame once.
        images: Per camera uint8 (N, H, W, 3), N >= 2.
        question: The task's sentence.
        params: How many, and how clear.
        seed: Of the draw.

    Raises:
        ValueError: when there are fewer than two frames.
    """
    count = len(images[0])
    if count < 2:
        raise ValueError(f"expected two or more frames to compare, got {count}")
    parts = []
    with torch.no_grad():
        for start in range(0, count, JUDGED_AT_ONCE):
            part = [image[start : start + JUDGED_AT_ONCE] for image in images]
            parts.append(judge.logits(part, [question] * len(part[0])))
    logits = torch.cat(parts).cpu().numpy()
    rng = np.random.default_rng([seed, 7])
    first = rng.integers(count, size=params.pairs)
    second = (first + rng.integers(1, count, size=params.pairs)) % count
    gap = logits[first] - logits[second]
    clear = np.abs(gap) >= max(params.unclear, np.finfo(np.float32).tiny)
    return Pairs(first[clear], second[clear], gap[clear] > 0)


class RewardEnsemble(nn.Module):
    """K networks of two layers over features (N, F): scores (K, N), in -1..1."""

    mean: Tensor
    spread: Tensor

    def __init__(self, feature_size: int, members: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_size))
        self.register_buffer("spread", torch.ones(feature_size))
        self.first = nn.Parameter(torch.randn(members, feature_size, hidden) * (2.0 / feature_size) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.last = nn.Parameter(torch.randn(members, hidden, 1) * hidden**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (K, N) of features (N, F), or of (K, N, F), a batch for each member."""
        seen = ((features - self.mean) / self.spread).expand(len(self.first), *features.shape[-2:])
        hidden = torch.relu(torch.baddbmm(self.first_bias, seen, self.first))
        return torch.tanh(torch.bmm(hidden, self.last)).squeeze(2)

    def set_scale(self, features: Tensor) -> None:
        """Normalise features as these (N, F) are spread; one that never changes keeps scale 1."""
        spread = features.std(0, correction=0)
        self.mean.copy_(features.mean(0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the members' mean score (N,) and how far they disagree, their standard deviation (N,)."""
        with torch.no_grad():
            scores = self(features)
        return scores.mean(0), scores.std(0, correction=0)


SHARPNESS = 5.0
"""Scores end at -1 and 1; a pair of the farthest is then told apart with probability 1 - 5e-5."""


def train_preferences(
    features: npt.NDArray[np.float32],
    pairs: Pairs,
    params: PreferenceParams | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    on_progress: OnProgress = silent,
) -> RewardEnsemble:
    """Learn scores from comparisons; each member draws its own batches.

    Args:
        features: Of the frames that ``pairs`` names, float32 (N, F).
        pairs: Comparisons.
        params: Sizes and steps.
        seed: Of weights and batches.
        checkpoint: Where to go on from, and to leave word.
        on_progress: Told of each step.

    Raises:
        ValueError: when no pair has a clear answer.
    """
    params = params or PreferenceParams()
    if not len(pairs):
        raise ValueError("no pair has a clear answer; lower `unclear`, or let a judge compare that tells them apart")
    seed_everything(seed)
    net, seen = RewardEnsemble(features.shape[1], params.members, params.hidden), torch.from_numpy(features)
    net.set_scale(seen)
    first, second = torch.from_numpy(pairs.first), torch.from_numpy(pairs.second)
    answer = torch.from_numpy(pairs.is_first.astype(np.float32))

    def loss(rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(pairs), size=(params.members, params.batch)))
        gap = SHARPNESS * (net(seen[first[rows]]) - net(seen[second[rows]]))
        return nn.functional.binary_cross_entropy_with_logits(gap, answer[rows])

    training = Training(
        nets={"preferences": net},
        loss=loss,
        updates=params.updates,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        seed=seed,
        digest=digest([vars(params), seed, fingerprint(features, pairs.first, pairs.second, pairs.is_first)]),
        checkpoint=checkpoint,
    )
    training.run(on_progress)
    return net.eval().requires_grad_(False)
