"""What stands still in a camera's pictures, and how far it has gone from where it was: tells a moved camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Images = npt.NDArray[np.uint8]
CELLS, BLOCKS = 32, 8
"""Cells along the shorter side, and blocks of cells."""
KEPT, MOST = 0.7, 6.0
"""Part of the blocks that counts, for an arm covers some; spreads that one cell counts for at most."""
EDGED = 0.1
"""Part of the block of most steady edges that a block needs, to count: where there is none, none can go."""
FLAT, LEAST = 0.5, 0.1
"""What a spread is at least: a part of the usual one, and of a picture's mean edge, for a camera that never moved."""
LIT = 0.7
"""Logarithm of the change of light that is taken without question: half or twice as light."""
CHUNK = 256


class Place(nn.Module):
    """Edges of one camera's pictures, by direction and coarsely, against where they usually are.

    Edges are of the logarithm of brightness over their mean: a lamp that is turned down changes neither. Cells that
    change from episode to episode, and blocks of few steady cells, do not count; of the others the most alike do.
    """

    middle: Tensor
    spread: Tensor
    steady: Tensor
    counted: Tensor
    weight: Tensor

    def __init__(self, height_px: int, width_px: int) -> None:
        super().__init__()
        self.cell = max(min(height_px, width_px) // CELLS, 1)
        rows, columns = height_px // self.cell, width_px // self.cell
        self.block = max(min(rows, columns) // BLOCKS, 1)
        blocks = (rows // self.block) * (columns // self.block)
        for name in ("middle", "spread", "steady"):
            self.register_buffer(name, torch.ones(4, rows, columns))
        self.register_buffer("counted", torch.arange(blocks))
        self.register_buffer("weight", torch.ones(blocks))

    def edges(self, image: Tensor) -> Tensor:
        """Return mean edges (N, 4, rows, columns), right, down, left and up, of uint8 (N, H, W, 3)."""
        light = torch.log(image.to(torch.float32).mean(dim=3) + 16.0)[:, None]
        across = nn.functional.pad(light[:, :, :, 2:] - light[:, :, :, :-2], (1, 1, 0, 0))
        down = nn.functional.pad(light[:, :, 2:] - light[:, :, :-2], (0, 0, 1, 1))
        both = torch.cat([across, down], dim=1)
        coarse = nn.functional.avg_pool2d(torch.cat([torch.relu(both), torch.relu(-both)], dim=1), self.cell)
        return coarse / (coarse.mean(dim=(1, 2, 3), keepdim=True) + 1e-3)

    def fit(self, images: Images) -> None:
        """Learn where edges of pictures (N, H, W, 3) are, and which of them stand still."""
        with torch.no_grad():
            seen = torch.cat([self.edges(part) for part in _chunks(images)]).numpy()
        middle, spread = np.median(seen, axis=0), seen.std(axis=0)
        steady = spread <= np.quantile(spread[middle >= np.quantile(middle, 0.7)], 0.6)
        self.middle.copy_(torch.from_numpy(middle))
        self.spread.copy_(torch.from_numpy(spread + FLAT * np.median(spread) + LEAST))
        self.steady.copy_(torch.from_numpy(steady.astype(np.float32)))
        counts = self._blocks(self.steady[None])[0]
        edged = self._blocks((self.middle * self.steady)[None])[0]
        counts = torch.where(edged >= EDGED * edged.max(), counts, 0.0)
        self.counted = torch.nonzero(counts >= counts.max() / 6.0).squeeze(1)
        self.weight = counts[self.counted]

    def forward(self, image: Tensor) -> Tensor:
        """Return (N,) mean deviations, in spreads."""
        off = torch.clamp((self.edges(image) - self.middle).abs() / self.spread, max=MOST) * self.steady
        by_block = self._blocks(off)[:, self.counted] / self.weight
        kept = max(int(KEPT * len(self.counted)), 1)
        return by_block.topk(kept, dim=1, largest=False).values.mean(dim=1)

    def _blocks(self, cells: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(cells.sum(dim=1, keepdim=True), self.block).flatten(1)


class Background(nn.Module):
    """How far the worst camera is from its place, or its light from the usual: a logarithm, from ``level``."""

    usual: Tensor
    light: Tensor
    level: Tensor

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        """``sizes`` are height and width [px] of each camera's pictures."""
        super().__init__()
        self.places = nn.ModuleList(Place(*size) for size in sizes)
        self.register_buffer("usual", torch.ones(len(sizes)))
        self.register_buffer("light", torch.zeros(len(sizes)))
        self.register_buffer("level", torch.zeros(()))

    @classmethod
    def fitted(cls, seen: Sequence[Images], held: Sequence[Images], level: float, share: float) -> Background:
        """Return what knows a table.

        Args:
            seen: Per camera, pictures (N, H, W, 3) to learn from.
            held: Per camera, pictures of other episodes.
            level: Distance that at most ``share`` of the held-out pictures lie beyond.
            share: Of them, by each camera.
        """
        made = cls([(images.shape[1], images.shape[2]) for images in seen])
        with torch.no_grad():
            for i, place in enumerate(made.places):
                cast(Place, place).fit(seen[i])
                off = torch.cat([place(part) for part in _chunks(held[i])])
                made.light[i] = torch.cat([_light(part) for part in _chunks(seen[i])]).median()
                made.usual[i] = torch.quantile(off, 1.0 - share) + 1e-6
        made.level.fill_(level)
        return made.eval()

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """Return (N,) distances of uint8 (N, H, W, 3) per camera, on the scale of the level."""
        off = torch.stack([place(image) for place, image in zip(self.places, images)], dim=1)
        lit = torch.stack([_light(image) for image in images], dim=1)
        worst = torch.maximum(off / self.usual, (lit - self.light).abs() / LIT)
        return self.level + torch.log(worst + 1e-6).amax(dim=1)


def _light(image: Tensor) -> Tensor:
    """Return the logarithm of the mean brightness (N,) of uint8 (N, H, W, 3), as good as flat where it is black."""
    return torch.log(image.to(torch.float32).flatten(1).mean(dim=1) + 16.0)


def _chunks(images: Images) -> list[Tensor]:
    return [torch.from_numpy(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
