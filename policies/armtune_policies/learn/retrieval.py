"""Which prior episodes are like those of the task: Behavior Retrieval (2304.08742) on frozen features.

A pair of observation and action is as similar as its nearest pair of the target data is near,
scaled to 0..1 over all prior pairs. The paper measures in the latent space of a VAE; here it is
features of the frozen encoder and actions, each standardised and of like weight. A value function
needs episodes whole, so an episode counts by the mean of its pairs, where the paper keeps pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from .trajectory import BadData, Trajectory

Floats = npt.NDArray[np.float32]
CHUNK = 1024


def scores(prior: Sequence[Trajectory], target: Sequence[Trajectory]) -> list[float]:
    """Return each prior trajectory's similarity to the target's, 0..1, in order.

    Raises:
        BadData: when features or actions are of other sizes, or there is nothing to compare.
    """
    if not prior or not target:
        raise BadData("retrieval", "episodes", "prior and target ones", f"{len(prior)} and {len(target)}")
    theirs, ours = ([_pairs(one, target[0]) for one in group] for group in (prior, target))
    whole = np.concatenate([*theirs, *ours])
    mean, spread = whole.mean(axis=0), whole.std(axis=0)
    widths = target[0].features.shape[1], target[0].action.shape[1]
    scale = np.concatenate([np.full(width, width**-0.5) for width in widths])
    scale = np.where(spread > 1e-6, scale / np.maximum(spread, 1e-6), 0.0)
    known = torch.from_numpy(((np.concatenate(ours) - mean) * scale).astype(np.float32))
    gaps = [_nearest(torch.from_numpy(((pairs - mean) * scale).astype(np.float32)), known) for pairs in theirs]
    low, high = min(float(gap.min()) for gap in gaps), max(float(gap.max()) for gap in gaps)
    span = (high - low) or 1.0
    return [float(1.0 - ((gap - low) / span).mean()) for gap in gaps]


def _pairs(one: Trajectory, like: Trajectory) -> Floats:
    """Return features and actions of a trajectory's steps, (N, F + A)."""
    for name in ("features", "action"):
        want, got = getattr(like, name).shape[1], getattr(one, name).shape[1]
        if got != want:
            raise BadData(one.source, name, f"{want} numbers a row", got)
    rows = one.is_step
    return np.concatenate([one.features[rows], one.action[rows]], axis=1).astype(np.float32)


def _nearest(points: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the distance from each point (N, D) to the nearest known one (M, D), (N,)."""
    return torch.cat([
        torch.stack([torch.cdist(part, some).amin(dim=1) for some in known.split(CHUNK)]).amin(dim=0)
        for part in points.split(CHUNK)
    ])  # fmt: skip
