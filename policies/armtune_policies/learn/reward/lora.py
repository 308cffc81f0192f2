"""Low-rank adapters on the attention projections of a locked model (Hu et al. 2021, arXiv 2106.09685), by peft."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

from torch import nn

Net = TypeVar("Net", bound=nn.Module)

RANK = 8
PROJECTIONS = r"(q_proj|v_proj|qkv)"


def add_lora(model: nn.Module, within: str, rank: int = RANK) -> None:
    """Put adapters beside the attention projections of a part of a model; they alone are trained.

    Args:
        model: Changed in place; all its own weights stay locked.
        within: Regular expression for the part's name.
        rank: Of the adapters.

    Raises:
        ValueError: when the part has no attention projections, or peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ValueError("LoRA needs peft: run `make setup`, or pip install peft") from None
    chosen = rf"(.*\.)?{within}(\..*)?\.{PROJECTIONS}"
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=chosen)
    inject_adapter_in_model(settings, model)


def folded(model: Net) -> Net:
    """Return a copy with each adapter folded into the weight beside it, for export; the model stays as it is."""
    copy = deepcopy(model)
    for layer in copy.modules():
        if hasattr(layer, "lora_A"):
            layer.merge()  # type: ignore[operator]
    return copy
