"""Transformers folders with tiny random weights and a tokenizer of a few words, made by code.

::

    siglip(folder)    clip(folder)    smolvlm(folder)    paligemma(folder)    qwen(folder)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPModel,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    SiglipConfig,
    SiglipModel,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

SPECIAL = [
    *("<pad>", "<s>", "</s>", "<unk>", "<image>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>"),
    *("<global-img>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|im_end|>", "<bos>"),
]
WORDS = "yes Yes no No open close the drawer Is this done Answer answer en or ? . : User Assistant user assistant"
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *WORDS.split()])}
SIDE_PX, PATCH_PX = 32, 8
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": SIDE_PX,
    "patch_size": PATCH_PX,
}
WORDS_TOWER = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
TALKER = {**WORDS_TOWER, "num_key_value_heads": 1, "max_position_embeddings": 256}


def write_tokenizer(folder: Path, without: tuple[str, ...] = ()) -> None:
    """Write a tokenizer that knows ``VOCABULARY``, but for some words."""
    vocabulary = {word: i for word, i in VOCABULARY.items() if word not in without}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "additional_special_tokens": SPECIAL[4:]}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def siglip(folder: Path) -> Path:
    text = {**WORDS_TOWER, "max_position_embeddings": 16, "projection_size": 16}
    return _write(folder, SiglipModel, SiglipConfig(text_config=text, vision_config=TOWER))


def clip(folder: Path) -> Path:
    text = {**WORDS_TOWER, "max_position_embeddings": 16, "projection_dim": 12}
    vision = {**TOWER, "projection_dim": 12}
    return _write(folder, CLIPModel, CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))


def smolvlm(folder: Path) -> Path:
    text = {**TALKER, "model_type": "llama"}
    config = SmolVLMConfig(image_token_id=4, scale_factor=2, vision_config=TOWER, text_config=text, pad_token_id=0)
    return _write(folder, SmolVLMForConditionalGeneration, config)


def paligemma(folder: Path) -> Path:
    text = {**TALKER, "model_type": "gemma", "head_dim": 8}
    vision = {**TOWER, "model_type": "siglip_vision_model", "projection_dim": 16, "vision_use_head": False}
    config = PaliGemmaConfig(image_token_id=4, vision_config=vision, text_config=text, projection_dim=16)
    return _write(folder, PaliGemmaForConditionalGeneration, config)


def qwen(folder: Path) -> Path:
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    text = {**TALKER, "rope_parameters": rope}
    named = {"image_token_id": VOCABULARY["<|image_pad|>"], "vision_start_token_id": VOCABULARY["<|vision_start|>"]}
    config = Qwen2VLConfig(vision_config=vision, text_config=text, **named)
    return _write(folder, Qwen2VLForConditionalGeneration, config)


def _write(folder: Path, kind: Any, config: Any) -> Path:
    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder
