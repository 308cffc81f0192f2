"""What a demonstration shows in hindsight: where the gripper shut, and where it then opened.

The tool's own path tells where the object was, without any truth from outside. Asking the
encoder for these places, and for the tool's own, makes it look at where things are: with
twenty scenes a policy cloned without them ignored the object's place along the camera's axis.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .data import Transitions

Floats = npt.NDArray[np.float32]
EVENTS = 2


def places(data: Transitions) -> Floats:
    """Return, per row, tool positions to come: at the first shutting, at the opening after it.

    Returns:
        Positions [m] in ``base_link``, float32, shape (N, 6); NaN from the event on, and where it never comes.
    """
    found = np.full((len(data), 3 * EVENTS), np.nan, np.float32)
    for episode in np.unique(data.episode):
        rows = np.flatnonzero(data.episode == episode)
        is_open = data.action[rows, -1] > 0.5
        shut = _first(~is_open, 0)
        for event, at in enumerate((shut, _first(is_open, shut))):
            if at < len(rows):
                found[rows[: at + 1], 3 * event : 3 * event + 3] = data.state[rows[at], :3]
    return found


class HindsightLoss(nn.Module):
    """Linear readouts of places to come and of the tool's own position, dropped after training."""

    wanted: Tensor
    known: Tensor

    def __init__(self, data: Transitions, feature_size: int) -> None:
        super().__init__()
        wanted = np.concatenate([places(data), data.state[:, :3]], axis=1)
        known = np.isfinite(wanted)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, wanted, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, (wanted - mean) ** 2, 0).sum(axis=0) / count)
        scaled = np.where(known, (wanted - mean) / np.maximum(spread, 1e-3), 0)
        self.register_buffer("wanted", torch.from_numpy(scaled.astype(np.float32)))
        self.register_buffer("known", torch.from_numpy(known.astype(np.float32)))
        self.read = nn.Linear(feature_size, wanted.shape[1])

    def forward(self, features: Tensor, rows: npt.NDArray[np.int64]) -> Tensor:
        """Return the mean smooth L1 error over what is known of some rows, in spreads; features (B, F)."""
        gap = nn.functional.smooth_l1_loss(self.read(features), self.wanted[rows], reduction="none")
        known = self.known[rows]
        return (gap * known).sum() / known.sum().clamp(min=1.0)


def _first(mask: npt.NDArray[np.bool_], start: int) -> int:
    """Return the first index from ``start`` on where ``mask`` holds, its length when there is none."""
    hits = np.flatnonzero(mask[start:])
    return start + int(hits[0]) if len(hits) else len(mask)
