"""A calibrated judge to a model folder: one graph that says probability and distance, its card beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from armtune_policies.learn.export import (
    GOLDEN_ROWS,
    About,
    golden_rows,
    graph_bytes,
    parity,
    write_model,
)
from armtune_policies.reward.calibrate import Limits
from armtune_policies.runtime.images import made_up_images
from armtune_policies.store.manifest import GOLDEN, MAX_FILE_BYTES, Manifest, ModelError

from .judge import Served
from .lora import folded

PARITY, OUTPUTS = 1e-4, ("probability", "distance")
ROWS, ROWS_IF_LARGE, LARGE_BYTES = 100, 4 * GOLDEN_ROWS, 200 << 20
"""Random observations that parity is measured over; a large model takes a second for each."""


class One(nn.Module):
    """One output of a served judge, for parity."""

    def __init__(self, served: Served, which: int) -> None:
        super().__init__()
        self.served, self.which = served, which

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.served(*inputs)[self.which]


def check_exportable(net: Any) -> int:
    """Return a judge's bytes of weights, before it is trained in vain.

    Raises:
        ModelError: when no graph can hold its architecture, or one file cannot hold its weights.
    """
    if not getattr(net, "has_graph", True):
        raise ModelError(
            "models of this type have no form that a graph can hold, so reward_node cannot serve them; expected one of "
            "type clip, siglip, smolvlm, idefics3 or paligemma"
        )
    size = sum(p.numel() * p.element_size() for p in net.parameters())
    if size > MAX_FILE_BYTES:
        raise ModelError(
            f"expected at most {MAX_FILE_BYTES >> 20} MiB of float32 weights in one graph, got {size >> 20}; take a "
            "smaller model, as SmolVLM-256M"
        )
    return size


def export_judge(
    folder: Path, served: Served, limits: Limits, about: About, more: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write a reward folder: reward.onnx, sentences, golden outputs, ``more`` files, manifest.

    ``about.embeddings`` are what the judge's own ``embed`` made of its sentences; adapters are folded in.

    Raises:
        ModelError: as ``check_exportable``, or when ONNX and torch differ by more than ``PARITY``.
    """
    rows = ROWS if check_exportable(served.net) < LARGE_BYTES else ROWS_IF_LARGE
    plain = folded(served).cpu().eval().requires_grad_(False)
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    known, rng = np.stack(list(about.embeddings.values())).astype(np.float32), np.random.default_rng(3)
    inputs = {**made_up_images(about.observation, rows), "sentence": known[rng.integers(len(known), size=rows)]}
    graph = graph_bytes(plain, {name: value[:2] for name, value in inputs.items()}, *OUTPUTS)
    found = {name: parity(One(plain, i), graph, inputs, name, PARITY) for i, name in enumerate(OUTPUTS)}
    golden = golden_rows(inputs, {name: value for name, (value, _) in found.items()})
    metrics = {name: float(value) for name, value in about.metrics.items() if np.isfinite(value)}
    return write_model(
        folder, replace(about, metrics=metrics), {"reward.onnx": graph, GOLDEN: save(golden), **(more or {})},
        max(gap for _, gap in found.values()), rows,
        kind="reward", threshold=limits.threshold, unsure_above=limits.unsure_above,
        distance_bound=limits.distance_bound,
    )  # fmt: skip
