"""The agent's actor as a policy folder, the frozen encoder as it was, the actor as its head; or as a head alone.

What runs on the arm is the actor's mean action, the gripper decided, its tanh mapped onto the action's bounds.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from armtune_policies.contract import STATE_NAMES
from armtune_policies.runtime.images import made_up_images
from armtune_policies.store.manifest import GOLDEN, Manifest, ModelError

from .agent import Agent
from .export import (
    OPSET,
    PARITY_OBSERVATIONS,
    About,
    golden_rows,
    head_bytes,
    head_inputs,
    parity,
    refreshed,
    write_model,
)
from .frozen import FrozenEncoder
from .scaling import ActionScale

PICTURES = 100
"""Seen by the encoder for that; each goes with several states and sentences."""


class ActorHead(nn.Module):
    """Features (N, F), state (N, 7) and a sentence's embedding (N, 384) to a proposal in physical units (N, 7).

    The agent looks sentences up in its table; here the embedding itself comes in, through the same weights.
    """

    centre: Tensor
    half_range: Tensor
    gain: Tensor

    def __init__(self, agent: Agent, scale: ActionScale) -> None:
        super().__init__()
        acts = agent.targets
        # On the CPU, where ONNX and torch are compared.
        sees, actor = copy.deepcopy(acts.actor_projection).cpu(), copy.deepcopy(acts.actor).cpu()
        if sees.sentence is None:
            raise ValueError("an agent without sentences cannot be told what to do; give its layout their embeddings")
        self.projection, self.said, self.actor = sees, sees.sentence, actor
        self.register_buffer("centre", torch.from_numpy(scale.centre))
        self.register_buffer("half_range", torch.from_numpy(scale.half_range))
        self.register_buffer("gain", agent.layout.gain)

    def forward(self, features: Tensor, state: Tensor, sentence: Tensor) -> Tensor:
        return self.proposed(self.heard(torch.cat([features, state], dim=1), sentence))

    def heard(self, vector: Tensor, sentence: Tensor) -> Tensor:
        """Return the projection's product of numbers (N, D) and what was said, (N, width)."""
        return self.projection.vector(self.projection.near(vector)) + self.said(sentence)

    def proposed(self, drive: Tensor) -> Tensor:
        """Return the proposal of such a product."""
        mean, _ = self.actor(self.projection.squashed(drive))
        return self.centre + self.half_range * torch.tanh(self.gain * mean)


def export_actor(folder: Path, agent: Agent, encoder: FrozenEncoder, about: About) -> Manifest:
    """Write a policy folder of an agent trained on the features of ``encoder``.

    Raises:
        ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
        ValueError: when agent and encoder do not fit.
    """
    wanted = encoder.feature_size + len(STATE_NAMES)
    if agent.layout.vector_size != wanted:
        raise ValueError(f"agent: expected one that sees {wanted} numbers, got {agent.layout.vector_size}")
    head = ActorHead(agent, ActionScale(about.action))
    graph = head_bytes(head, encoder.feature_size)
    few = made_up_images(about.observation, PICTURES)
    rows = np.arange(PARITY_OBSERVATIONS) % PICTURES
    images = {name: frames[rows] for name, frames in few.items()}
    features = encoder.features({name.removeprefix("image."): frames for name, frames in few.items()})[rows]
    inputs = head_inputs(features, about)
    proposed, gap = parity(head, graph, inputs, "proposed")
    golden = golden_rows({**images, **inputs}, {"features": features, "proposed": proposed})
    return write_model(
        folder,
        replace(about, licence=encoder.licence),
        {**encoder.blobs, "head.onnx": graph, GOLDEN: save(golden)},
        max(gap, encoder.parity),
        opset=max(OPSET, encoder.opset),
        precision=encoder.precision,
        kind="policy",
        feature_size=encoder.feature_size,
        encoder_digest=encoder.digest,
    )


class HeadExporter:
    """Writes heads of one agent as it learns on; the graph is traced once.

    Args:
        agent: Whose actor it is.
        encoder_digest: SHA-256 of the encoder.onnx whose features it sees.
        features: Some of those features, float32 (N, F): parity is measured around them.
    """

    def __init__(self, agent: Agent, encoder_digest: str, features: npt.NDArray[np.float32]) -> None:
        self._agent, self._encoder_digest = agent, encoder_digest
        rows = np.random.default_rng(0).integers(len(features), size=PARITY_OBSERVATIONS)
        self._features = features[rows]
        self._graph: bytes | None = None

    def write(self, folder: Path, about: About) -> Manifest:
        """Write a head folder, ready to be offered.

        Raises:
            ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
        """
        head = ActorHead(self._agent, ActionScale(about.action)).eval()
        inputs = head_inputs(self._features, about)
        graph, proposed, gap = self._proven(head, inputs)
        self._graph = graph
        golden = golden_rows(inputs, {"proposed": proposed})
        return write_model(
            folder, about, {"head.onnx": graph, GOLDEN: save(golden)}, gap,
            kind="head", feature_size=self._features.shape[1], encoder_digest=self._encoder_digest,
        )  # fmt: skip

    def _proven(
        self, head: ActorHead, inputs: dict[str, npt.NDArray[np.float32]]
    ) -> tuple[bytes, npt.NDArray[np.float32], float]:
        """Return a graph that agrees with the head, what it proposes and how well it agrees."""
        graph = refreshed(self._graph, head) if self._graph is not None else None
        if graph is not None:
            try:
                return (graph, *parity(head, graph, inputs, "proposed"))
            except ModelError:
                pass  # something else than weights has changed since it was traced
        traced = head_bytes(head, self._features.shape[1])
        graph = refreshed(traced, head) or traced  # the same bytes for the same weights, traced now or before
        return (graph, *parity(head, graph, inputs, "proposed"))
