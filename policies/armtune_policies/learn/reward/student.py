"""The student: a small convolutional judge conditioned on a sentence, for a CPU or a Jetson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.networks import SENTENCE_WIDTH, Keypoints
from armtune_policies.runtime.session import SENTENCE_SIZE

WIDTHS = (16, 32, 64)
"""Channels at half, a quarter and an eighth of the image's size."""


class Block(nn.Module):
    """Two convolutions around a shortcut, the first one steered by the sentence (FiLM, Perez et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.norm = nn.GroupNorm(8, width)
        self.film = nn.Linear(SENTENCE_WIDTH, 2 * width)

    def forward(self, maps: Tensor, said: Tensor) -> Tensor:
        gain, shift = self.film(said)[:, :, None, None].chunk(2, dim=1)
        hidden = torch.relu(self.norm(self.first(maps)) * (1.0 + gain) + shift)
        return torch.relu(maps + self.second(hidden))


class Eye(nn.Module):
    """What one camera shows, asked a sentence: keypoints of fine and deep maps, means and peaks of the deep ones.

    Whether a hand is clear of what it let go is told by a few pixels: the fine maps' keypoints.
    """

    def __init__(self, spec: ObservationSpec) -> None:
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.stem = nn.Conv2d(3, half, 5, 2, 2)
        self.down = nn.ModuleList([nn.Conv2d(half, quarter, 3, 2, 1), nn.Conv2d(quarter, eighth, 3, 2, 1)])
        self.blocks = nn.ModuleList([Block(quarter), Block(eighth)])
        sizes = (spec.height_px, spec.width_px)
        self.keypoints = nn.ModuleList(Keypoints(*((size + by - 1) // by for size in sizes)) for by in (4, 8))

    def early(self, image: Tensor) -> Tensor:
        """Return maps (N, C, H/4, W/4) of uint8 (N, H, W, 3) that no sentence has touched yet."""
        seen = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        seen = seen - seen.mean(dim=(1, 2, 3), keepdim=True)
        return torch.relu(self.down[0](torch.relu(self.stem(seen))))

    def forward(self, early: Tensor, said: Tensor) -> Tensor:
        """Return what early maps show, asked an embedded sentence, (N, F)."""
        fine = self.blocks[0](early, said)
        deep = self.blocks[1](torch.relu(self.down[1](fine)), said)
        places = [keypoints(maps) for keypoints, maps in zip(self.keypoints, (fine, deep))]
        return torch.cat([*places, deep.mean(dim=(2, 3)), deep.amax(dim=(2, 3))], dim=1)


class Student(nn.Module):
    """Images and a sentence's embedding to a logit of yes."""

    def __init__(self, spec: ObservationSpec, hidden: int = 96) -> None:
        super().__init__()
        self.eyes = nn.ModuleList(Eye(spec) for _ in spec.cameras)
        self.sentence = nn.Linear(SENTENCE_SIZE, SENTENCE_WIDTH)
        size = (2 * WIDTHS[1] + 4 * WIDTHS[2]) * len(spec.cameras)
        self.norm = nn.LayerNorm(size)
        self.first = nn.Linear(size + SENTENCE_WIDTH, hidden)
        self.out = nn.Linear(hidden, 1)

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return what tells whether a picture is like those trained on, (N, F): early maps and colours, coarsely.

        The maps do not know how light a picture is, the colours and their contrast do.
        """
        return self._look(images, self._early(images))

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks; what no sentence touches is computed once."""
        early = self._early(images)
        return self._logits(early, sentence), self._look(images, early)

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of one uint8 (N, H, W, 3) per camera and the sentence (N, 384), before calibration."""
        return self._logits(self._early(images), sentence)

    def _early(self, images: Sequence[Tensor]) -> list[Tensor]:
        return [cast(Eye, eye).early(image) for eye, image in zip(self.eyes, images)]

    def _logits(self, early: Sequence[Tensor], sentence: Tensor) -> Tensor:
        said = torch.relu(self.sentence(sentence))
        seen = self.norm(torch.cat([eye(maps, said) for eye, maps in zip(self.eyes, early)], dim=1))
        return self.out(torch.relu(self.first(torch.cat([seen, said], dim=1)))).squeeze(1)

    @staticmethod
    def _look(images: Sequence[Tensor], early: Sequence[Tensor]) -> Tensor:
        parts = []
        for image, maps in zip(images, early):
            pixels = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
            coarse = nn.functional.adaptive_avg_pool2d(pixels, 4)
            contrast = (pixels - pixels.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3)).sqrt()
            parts += [nn.functional.adaptive_avg_pool2d(maps, 4).flatten(1), coarse.flatten(1), contrast]
        return torch.cat(parts, dim=1)
