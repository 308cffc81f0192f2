"""A vision model of the user's own out of a transformers folder, as a network from images to features.

timm's folders are read by transformers, too, where timm is installed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec, digest, file_digest
from armtune_policies.runtime.proving import MAX_GRAPH_BYTES
from armtune_policies.runtime.session import Arrays
from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import ModelError

from .export import OPSET, encoder_bytes
from .reward.folders import mean_and_deviation, model_type, open_model
from .reward.pixels import Pixels

PREPROCESSOR = "preprocessor_config.json"
POOLED, TOKENS = "pooler_output", "last_hidden_state"
AT_ONCE = 4
"""Pictures a model sees at a time."""
RESIZES = "interpolate_pos_encoding"
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Mean and deviation of what is not normalised."""


@dataclass(frozen=True)
class Facts:
    """What pictures a vision model was trained with: of 0..1 before ``mean`` and ``std``; None: any size."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size_px: int | None


class Vision(nn.Module):
    """uint8 images (N, H, W, 3), one per camera, to float32 (N, C * F): features of the first camera come first.

    One backbone sees all cameras. Tokens (N, T, F) and maps (N, F, H, W) are averaged.
    """

    opset = OPSET

    def __init__(self, model: nn.Module, pixels: Pixels, output: str | None, source: Path) -> None:
        """Raises ModelError when the model cannot see a picture, or has no such output."""
        super().__init__()
        self.model, self.pixels, self.source = model.eval().requires_grad_(False), pixels, source
        self._more = {RESIZES: True} if RESIZES in inspect.signature(model.forward).parameters else {}
        size_px, empty = pixels.rows.shape[0], torch.zeros(1, pixels.rows.shape[1], pixels.columns.shape[1], 3)
        try:
            with torch.no_grad():
                said = self._said(empty.to(torch.uint8))
            found = {name: value for name, value in said.items() if isinstance(value, Tensor)}
        except Exception as why:  # the library raises what it likes
            text = " ".join(str(why).split())[:300]
            raise ModelError(f"{source}: cannot see a picture of {size_px} px: {text}; another --size?") from None
        self.output = output or (POOLED if POOLED in found else TOKENS)
        if self.output not in found:
            raise ModelError(f"{source}: expected an output out of {', '.join(found)}; got --output {self.output}")
        self.feature_size = averaged(found[self.output]).shape[1]

    def forward(self, *images: Tensor) -> Tensor:
        rows = averaged(self._said(torch.cat(images))[self.output])
        return rows.reshape(len(images), -1, self.feature_size).transpose(0, 1).flatten(1)

    def features(self, images: Arrays) -> npt.NDArray[np.float32]:
        """Return what ``forward`` says of ``image.<camera>``, a few at once."""
        count = len(next(iter(images.values())))
        with torch.no_grad():
            parts = [
                self(*(torch.from_numpy(value[start : start + AT_ONCE]) for value in images.values())).numpy()
                for start in range(0, count, AT_ONCE)
            ]
        return np.concatenate(parts)

    def graph(self, spec: ObservationSpec) -> bytes:
        """Return the encoder's graph: inputs ``image.<camera>``, output ``features``.

        Raises:
            ModelError: when the model is too large for one, or has no form that a graph can hold.
        """
        size = sum(one.numel() * one.element_size() for one in self.parameters())
        if size > MAX_GRAPH_BYTES:
            raise ModelError(f"{self.source}: expected at most {MAX_GRAPH_BYTES >> 20} MiB of float32 weights in one "
                             f"graph, got {size >> 20}; take a smaller model")  # fmt: skip
        try:
            return encoder_bytes(self, spec)
        except Exception as why:  # the exporter raises what it likes
            text = " ".join(str(why).split())[:300]
            raise ModelError(f"{self.source}: has no form that a graph can hold: {text}") from None

    @property
    def weights(self) -> str:
        """Name of the weights, by digest."""
        return digest([[path.name, file_digest(path)] for path in sorted(self.source.glob("*.safetensors"))])

    def _said(self, images: Tensor) -> Any:
        return self.model(pixel_values=self.pixels(images), **self._more)


def averaged(said: Any) -> Any:
    """Return (N, F) of (N, F), of tokens (N, T, F) or of a map (N, F, H, W).

    Raises:
        ModelError: for another shape.
    """
    if said.ndim not in (2, 3, 4):
        raise ModelError(f"expected features (N, F), tokens (N, T, F) or a map (N, F, H, W); got {tuple(said.shape)}")
    return said if said.ndim == 2 else said.mean((1,) if said.ndim == 3 else (2, 3))


def open_vision(folder: Path, spec: ObservationSpec, size_px: int | None, output: str | None) -> Vision:
    """Return the vision model of a transformers folder; of an image-text model its image tower.

    Args:
        folder: With config.json, safetensors and, but for timm's, preprocessor_config.json.
        spec: Cameras, and their images' size.
        size_px: Side of the picture it is shown; None for what it was trained with.
        output: One of its outputs; None for the pooled one, or the tokens where there is none.

    Raises:
        ModelError: in one sentence, when the folder will not do.
    """
    model_type(folder)
    facts, model = facts_of(folder), open_model(folder, "AutoModel", may_lack="pooler")
    tower = getattr(model, "vision_model", model)
    size_px = size_px or facts.size_px or getattr(tower.config, "image_size", None)
    if not isinstance(size_px, int):
        raise ModelError(f"{folder}: says no size of its pictures, as one number; name it by --size")
    return Vision(tower, Pixels(spec.height_px, spec.width_px, size_px, facts.mean, facts.std), output, folder)


def facts_of(*folders: Path) -> Facts:
    """Return what the first of these folders that says it says of pictures, in transformers' form or in timm's.

    Raises:
        ModelError: when none says it, or what a graph of ours does not do.
    """
    for folder in folders:
        if (path := folder / PREPROCESSOR).is_file():
            return _facts(path, read_json(path))
        if (path := folder / "config.json").is_file() and "pretrained_cfg" in (said := read_json(path)):
            return _timm_facts(path, said["pretrained_cfg"])
    wanted = '{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "size": 224}'
    raise ModelError(f"expected the model's {PREPROCESSOR} in {folders[0]}, got none; write one like {wanted}")


def _facts(path: Path, said: Mapping[str, Any]) -> Facts:
    scale = said.get("rescale_factor", 1 / 255)
    if said.get("do_flip_channel_order") or not said.get("do_rescale", True) or abs(scale * 255 - 1) > 1e-3:
        raise ModelError(f"{path}: expected pictures in RGB, scaled by 1/255; got another order or scale")
    mean, std = PLAIN if said.get("do_normalize") is False else (said.get("image_mean"), said.get("image_std"))
    is_cut = said.get("do_center_crop") is not False and "crop_size" in said
    return Facts(*mean_and_deviation(path, mean, std), _side_px(said.get("crop_size" if is_cut else "size")))


def _timm_facts(path: Path, said: Mapping[str, Any]) -> Facts:
    return Facts(*mean_and_deviation(path, said.get("mean"), said.get("std")), _side_px(said.get("input_size", [])[1:]))


def _side_px(said: Any) -> int | None:
    """Return the side of a square; None where it is none."""
    sides = list(said.values()) if isinstance(said, Mapping) else said if isinstance(said, list) else [said]
    is_square = sides and isinstance(sides[0], int) and sides.count(sides[0]) == len(sides)
    return sides[0] if is_square else None
