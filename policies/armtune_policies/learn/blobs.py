"""Where each colour is: an encoder that is fitted in seconds and has nothing to learn by heart.

The colours are those of what moves or differs from scene to scene. Each pixel belongs softly to the nearest ones;
features are the middle and the size of each colour's patch. One gain per image and colour channel is taken out first
(grey world, Buchsbaum 1980), so that a lamp's strength and tint matter little. Brightness counts a tenth of tint: the
lit and the shaded side of a thing are one colour. Parted, each was a few pixels, and its middle said little.

Places where nothing ever moves in an episode are not looked at: things stand beside the table that have a colour of the
task's, elsewhere in every scene; they drew its middle along, and one scene of practice failed for good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

ROUNDS = 25
"""Of k-means; it has settled long before."""
FEW_PX = 0.5
"""A colour that covers less than this is hardly there, and its middle is drawn to the image's."""

DIM, LIGHT = 0.3, 0.1
"""Tint is a colour by its brightness, this added so that the dark has none; and what brightness itself counts."""

STILL = 0.14
"""Of the greatest change in an episode: a place that changes by so much counts half."""
BLUR_PX = 5
"""Changes are smeared so far: a few episodes pass every place only here and there."""

LEAST = -40.0
"""Logarithm of the least share: what is far smaller is a denormal number, and those cost three times the rest."""

DARK = 5.0
"""Added to an image's mean, of 255: a black image stays black."""


class Blobs(nn.Module):
    """One camera: uint8 (N, H, W, 3) to float32 (N, 3 K): x of each of K colours, then y, in -1..1, then log of size.

    Args:
        centres: Colours as ``tint`` gives them, (C, 4).
        spread: Mean squared distance of a colour's pixels from it: how soft the borders are.
        weight: How much each place counts, 0..1, (H, W).
        told: Which K of the C colours are told, in this order; None for all.
    """

    centres: Tensor
    spread: Tensor
    weight: Tensor
    told: Tensor

    def __init__(self, centres: Tensor, spread: Tensor, weight: Tensor, told: Sequence[int] | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("centres", centres)
        self.register_buffer("spread", spread)
        self.register_buffer("told", torch.tensor(range(len(centres)) if told is None else told))

    def only(self, told: Sequence[int]) -> Blobs:
        """Return the same colours, of which these few are told."""
        return Blobs(self.centres, self.spread, self.weight, told)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[1:3]
        seen = tint(balanced(image)).flatten(1, 2).transpose(1, 2)
        # Channel by channel: |x|^2 - 2 x c + |c|^2 would lose a near colour's distance in rounding.
        off = [seen[:, i, None] - self.centres[:, i, None] for i in range(4)]
        near = (off[0] * off[0] + off[1] * off[1] + off[2] * off[2] + off[3] * off[3]) / -self.spread
        share = torch.exp((near - near.amax(dim=1, keepdim=True)).clamp(min=LEAST))
        share = share * (self.weight.flatten() / share.sum(dim=1, keepdim=True))
        down, across = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        places = torch.stack([across.repeat(height), down.repeat_interleave(width), torch.ones(height * width)], dim=1)
        sums = share[:, self.told] @ places
        size = sums[..., 2] + FEW_PX
        return torch.cat([sums[..., 0] / size, sums[..., 1] / size, torch.log(size)], dim=1)


class BlobEncoder(nn.Module):
    """All cameras: features float32 (N, 3 K a camera)."""

    def __init__(self, cameras: list[Blobs]) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(cameras)
        self.feature_size = sum(3 * len(camera.told) for camera in cameras)

    def forward(self, *images: Tensor) -> Tensor:
        """Return features of one uint8 (N, H, W, 3) per camera, in the spec's order."""
        return torch.cat([camera(image) for camera, image in zip(self.cameras, images)], dim=1)


def balanced(image: Tensor) -> Tensor:
    """Return uint8 (N, H, W, 3) as float32, each image's colours divided by their mean."""
    # Summed in integers, which every runtime does alike: far colours' distances would magnify another rounding.
    total = image.to(torch.int32).sum(dim=(1, 2), keepdim=True).to(torch.float32)
    return image.to(torch.float32) / (total / (image.shape[1] * image.shape[2]) + DARK) * 2.0


def tint(even: Tensor) -> Tensor:
    """Return ``balanced`` colours (..., 3) as tint and a little of brightness, (..., 4)."""
    light = even.mean(dim=-1, keepdim=True)
    return torch.cat([even / (light + DIM), LIGHT * light], dim=-1)


def fit_blobs(
    frames: npt.NDArray[np.uint8], episodes: npt.NDArray[np.int64], colours: int, pixels: int, seed: int
) -> Blobs:
    """Return the blobs of the colours that differ most between frames, by k-means++ (Arthur, Vassilvitskii 2007).

    Args:
        frames: Of one camera, uint8, shape (N, H, W, 3), those of an episode after one another.
        episodes: Which episode each is of, (N,).
        colours: How many.
        pixels: How many of each frame are looked at, likelier the further from their median over the frames, and
            where things move.
        seed: Of the choice.
    """
    rng = np.random.default_rng(seed)
    even = balanced(torch.from_numpy(frames))
    weight = _weight(even, torch.from_numpy(np.diff(episodes) == 0))
    seen = even.flatten(1, 2).numpy()
    apart = (np.linalg.norm(seen - np.median(seen, axis=0), axis=2) + 1e-3) * weight.flatten().numpy()
    upto = np.cumsum(apart / apart.sum(axis=1, keepdims=True), axis=1)
    drawn = [np.searchsorted(row, rng.random(pixels) * row[-1], side="right") for row in upto]
    tinted = tint(even).flatten(1, 2).numpy()
    points = np.concatenate([one[np.minimum(rows, len(one) - 1)] for one, rows in zip(tinted, drawn)])
    centres, spread = _k_means(points.astype(np.float64), colours, rng)
    return Blobs(torch.from_numpy(centres).float(), torch.tensor(max(spread, 1e-3), dtype=torch.float32), weight)


def _weight(even: Tensor, follows: Tensor) -> Tensor:
    """Return how much each place counts, (H, W): by how much it changes between two frames of an episode.

    Args:
        even: ``balanced`` frames, (N, H, W, 3).
        follows: Whether the next frame is of the same episode, (N - 1,). Where none is, every place counts.
    """
    if not follows.any():
        return torch.ones(even.shape[1:3])
    change = (even[1:] - even[:-1])[follows].abs().amax(dim=3).mean(dim=0)
    smeared = torch.nn.functional.avg_pool2d(change[None], BLUR_PX, 1, BLUR_PX // 2, count_include_pad=False)[0]
    part = (smeared / (STILL * smeared.max()).clamp(min=1e-6)) ** 4
    return part / (1.0 + part) if smeared.max() > 0 else torch.ones_like(smeared)


def _k_means(
    points: npt.NDArray[np.float64], count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], float]:
    """Return centres (count, D) of points (N, D), and their mean squared distance from the nearest."""
    centres = points[rng.integers(len(points), size=1)]
    for _ in range(count - 1):
        chance = np.cumsum(_squared(points, centres).min(axis=1) + 1e-12)
        drawn = np.searchsorted(chance, rng.random() * chance[-1], side="right")
        centres = np.concatenate([centres, points[[min(int(drawn), len(points) - 1)]]])
    for _ in range(ROUNDS):
        nearest = _squared(points, centres).argmin(axis=1)
        held = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, points[:, axis], count) for axis in range(points.shape[1])], axis=1)
        centres = np.where(held[:, None] > 0, sums / np.maximum(held, 1)[:, None], centres)
    return centres, float(_squared(points, centres).min(axis=1).mean())


def _squared(points: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    far = np.sum(points**2, axis=1)[:, None] - 2.0 * points @ centres.T + np.sum(centres**2, axis=1)
    return np.maximum(far, 0.0)
