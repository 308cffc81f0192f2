"""Image-text dual encoders (CLIP, SigLIP, SigLIP 2) from a local folder, with a head that learns success.

The towers stay locked, but for adapters on the image tower's attention with ``tune="lora"``. What the
text tower says of a sentence is computed once; it is the ``sentence`` input of the exported graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.store.manifest import ModelError

from .folders import model_type, open_model, open_tokenizer, pixel_facts
from .judge import Asked
from .lora import RANK, add_lora
from .pixels import Pixels

FAMILIES = ("clip", "siglip")
"""SigLIP 2 checkpoints of one resolution are of type siglip; those of any resolution (NaFlex) will not do."""
TUNES = ("head", "lora")
HIDDEN = 128


class Towers(nn.Module):
    """A judge's net: locked towers, a trained head over what they say of picture and sentence."""

    def __init__(
        self, model: Any, tokenizer: Any, pixels: Pixels, cameras: int, tune: str = "head", rank: int = RANK
    ) -> None:
        super().__init__()
        if tune not in TUNES:
            raise ValueError(f"tune: expected one of {', '.join(TUNES)}, got {tune!r}")
        self.model, self.pixels, self._tokenizer = model.eval().requires_grad_(False), pixels, tokenizer
        if tune == "lora":
            add_lora(self.model, "vision_model", rank)
        self.size = len(self.embed(["open the drawer"])["open the drawer"])
        width = 2 * cameras * self.size
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 1))

    @classmethod
    def load(cls, folder: Path, spec: ObservationSpec, tune: str = "head", rank: int = RANK) -> Asked:
        """Return a ``Backend`` of the towers and the tokenizer in a transformers folder.

        Raises:
            ModelError: in one sentence, when the folder will not do.
        """
        if (kind := model_type(folder)) not in FAMILIES:
            raise ModelError(f"{folder}: expected a model of type {' or '.join(FAMILIES)}, got {kind}")
        model, tokenizer = open_model(folder, "AutoModel"), open_tokenizer(folder)
        size_px = model.config.vision_config.image_size
        pixels = Pixels(spec.height_px, spec.width_px, size_px, *pixel_facts(folder))
        net = cls(model, tokenizer, pixels, len(spec.cameras), tune, rank)
        return Asked(net, embed=net.embed)

    def embed(self, questions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the text tower's unit vector (D,) per sentence."""
        # Padded to the full length: SigLIP was trained so, and CLIP does not mind.
        words = self._tokenizer(
            [question.lower() for question in questions],
            padding="max_length",
            max_length=self.model.config.text_config.max_position_embeddings,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            said = self.model.get_text_features(input_ids=words["input_ids"].to(self.pixels.mean.device)).pooler_output
        return dict(zip(questions, nn.functional.normalize(said, dim=1).float().cpu().numpy()))

    def train(self, mode: bool = True) -> Towers:
        """As ``Module.train``, but for the towers: what is locked has no dropout."""
        super().train(mode)
        self.model.eval()
        return self

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return the image tower's unit vectors of all cameras, (N, C * D), scaled to about 1 a number."""
        return self._look(images).to(images[0].device)

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of yes for sentence embeddings (N, D)."""
        return self.both(images, sentence)[0]

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks, where the images are; the towers may be elsewhere."""
        seen = self._look(images)
        said = self.size**0.5 * sentence.to(seen.device).repeat(1, len(images))
        logits = self.head(torch.cat([seen, seen * said], dim=1)).squeeze(1)
        return logits.to(images[0].device), seen.to(images[0].device)

    def _look(self, images: Sequence[Tensor]) -> Tensor:
        seen = [self.model.get_image_features(pixel_values=self.pixels(image)).pooler_output for image in images]
        return self.size**0.5 * torch.cat([nn.functional.normalize(vector, dim=1) for vector in seen], dim=1)
