"""What differs between generative vision-language models: where pictures go in the prompt, and in which form.

Read off transformers 5.23's processors, which want torchvision; prompts and patches are theirs, resizing is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

QUESTION = "Is this done: {}? Answer yes or no."


BLOCKS = 8
"""Merged patches along a side of the picture, for image towers that take any size: 224 px for Qwen2-VL's."""


@dataclass(frozen=True)
class Family:
    """One architecture.

    Attributes:
        picture: The token that stands for one picture in a prompt, before it is expanded.
        expand: From the model's config, the text of all tokens of one picture.
        shown: What a prompt says where a picture is, where the folder has no chat template ...
        template: ... and that prompt, with ``{pictures}`` and ``{question}``.
        inputs: From the model's config, pictures (N, C, 3, S, S) and token ids (N, L), what ``forward`` wants.
        projection: Regular expression for the layers between image tower and language model.
        language: Regular expression for the part whose attention gets adapters.
        features: From the model and those pictures, what its language model is shown, (N, C * tokens, width).
        has_graph: Whether a graph can hold the model asked by embedded text and features ...
        beside: ... and, from token ids, what its ``forward`` wants beside those.
    """

    picture: str
    expand: Callable[[Any], str]
    shown: str
    template: str
    inputs: Callable[[Any, Tensor, Tensor], dict[str, Any]]
    projection: str
    language: str
    features: Callable[[Any, Tensor], Tensor]
    has_graph: bool = True
    beside: Callable[[Tensor], dict[str, Any]] = lambda ids: {}


def image_size_px(config: Any) -> int:
    """Return the side of the square picture a model is asked with."""
    vision = config.vision_config
    return int(getattr(vision, "image_size", 0) or BLOCKS * vision.patch_size * vision.spatial_merge_size)


def _grid(config: Any) -> int:
    return image_size_px(config) // config.vision_config.patch_size


def _idefics_expand(config: Any) -> str:
    count = (_grid(config) // config.scale_factor) ** 2
    return "<fake_token_around_image><global-img>" + "<image>" * count + "<fake_token_around_image>"


def _idefics_features(model: Any, pictures: Tensor) -> Tensor:
    """Its own forward drops empty pictures by their content, which no graph can; here none is empty."""
    side = _grid(model.config)
    flat = pictures.flatten(0, 1)
    patches = torch.ones(flat.shape[0], side, side, dtype=torch.bool, device=flat.device)
    seen = model.model.vision_model(pixel_values=flat, patch_attention_mask=patches).last_hidden_state
    tokens = model.model.connector(seen)
    return tokens.reshape(pictures.shape[0], -1, tokens.shape[-1])


def _qwen_features(model: Any, pictures: Tensor) -> Tensor:
    config, no_text = model.config, torch.zeros(1, 1, dtype=torch.int64, device=pictures.device)
    cut = _qwen_inputs(config, pictures, no_text)
    tokens = torch.cat(model.model.get_image_features(cut["pixel_values"], cut["image_grid_thw"]).pooler_output)
    return tokens.reshape(pictures.shape[0], -1, tokens.shape[-1])


def _qwen_inputs(config: Any, pictures: Tensor, ids: Tensor) -> dict[str, Any]:
    """Cut pictures into the patches its tower wants, in blocks that are merged later, each repeated in time."""
    vision = config.vision_config
    patch, merge, side = vision.patch_size, vision.spatial_merge_size, _grid(config)
    flat = pictures.flatten(0, 1)
    count, blocks = flat.shape[0], side // merge
    cut = flat.reshape(count, 3, blocks, merge, patch, blocks, merge, patch).permute(0, 2, 5, 3, 6, 1, 4, 7)
    cut = cut[:, :, :, :, :, :, None].expand(*cut.shape[:6], vision.temporal_patch_size, patch, patch)
    return {
        "pixel_values": cut.reshape(count * side * side, -1),
        "image_grid_thw": torch.tensor([[1, side, side]], device=ids.device).repeat(count, 1),
        "mm_token_type_ids": (ids == config.image_token_id).to(torch.int64),
    }


def _both_ways(ids: Tensor) -> dict[str, Any]:
    """A PaliGemma prompt attends both ways: token type 0."""
    return {"token_type_ids": torch.zeros_like(ids)}


def _paligemma_features(model: Any, pictures: Tensor) -> Tensor:
    tokens = model.model.get_image_features(pictures.flatten(0, 1)).pooler_output
    return tokens.reshape(pictures.shape[0], -1, tokens.shape[-1])


IDEFICS = Family(
    picture="<image>",
    expand=_idefics_expand,
    shown="<image>",
    template="<|im_start|>User:{pictures}{question}<end_of_utterance>\nAssistant:",
    inputs=lambda config, pictures, ids: {"pixel_values": pictures},
    projection=r"model\.connector\.",
    language="text_model",
    features=_idefics_features,
)
PALIGEMMA = Family(
    picture="<image>",
    expand=lambda config: "<image>" * _grid(config) ** 2,
    shown="<image>",
    template="{pictures}<bos>answer en {question}\n",
    inputs=lambda config, pictures, ids: {"pixel_values": pictures.flatten(0, 1), **_both_ways(ids)},
    beside=_both_ways,
    projection=r"model\.multi_modal_projector\.",
    language="language_model",
    features=_paligemma_features,
)
QWEN = Family(
    picture="<|image_pad|>",
    expand=lambda config: "<|image_pad|>" * (_grid(config) // config.vision_config.spatial_merge_size) ** 2,
    shown="<|vision_start|><|image_pad|><|vision_end|>",
    template="<|im_start|>user\n{pictures}{question}<|im_end|>\n<|im_start|>assistant\n",
    inputs=_qwen_inputs,
    projection=r"model\.visual\.merger\.",
    language="language_model",
    features=_qwen_features,
    has_graph=False,
)

FAMILIES = {"idefics3": IDEFICS, "smolvlm": IDEFICS, "paligemma": PALIGEMMA, "qwen2_vl": QWEN, "qwen2_5_vl": QWEN}
"""By the ``model_type`` in a folder's config.json."""
