"""An agent that learnt from pixels as a policy folder: its network over images as the encoder, its actor as the head.

The encoder's features are the image's part of the projection's product, at most 128 numbers; the
head adds those of state and sentence, and goes on as the agent does.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.store.manifest import Manifest

from .actor_export import ActorHead
from .agent import Agent
from .export import About, export_pair
from .pixels import Frame, PixelNet, PixelProjection
from .scaling import ActionScale


class Look(nn.Module):
    """Images, uint8 (N, H, W, 3) per camera in the spec's order, to features (N, width)."""

    def __init__(self, net: PixelNet, projection: PixelProjection) -> None:
        super().__init__()
        self.net, self.image = net, projection.image

    def forward(self, *images: Tensor) -> Tensor:
        return self.image(self.net(torch.cat(images, dim=3)))


class PixelHead(ActorHead):
    """A head whose features are part of the projection's product already."""

    def forward(self, features: Tensor, state: Tensor, sentence: Tensor) -> Tensor:
        return self.proposed(features + self.heard(state, sentence))


def export_pixels(folder: Path, agent: Agent, about: About) -> Manifest:
    """Write a policy folder of an agent that learnt from pixels.

    Raises:
        ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
        ValueError: when the agent does not see what the folder's robot does.
    """
    head, wanted = PixelHead(agent, ActionScale(about.action)), frame_of(about.observation)
    net = agent.targets.net
    if net is None or not isinstance(head.projection, PixelProjection) or agent.layout.frame != wanted:
        raise ValueError(f"agent: expected one that learnt from images of {wanted}, got {agent.layout.frame}")
    looks = Look(copy.deepcopy(net).cpu(), head.projection)
    return export_pair(folder, looks, head, agent.params.projection, about, {})


def frame_of(seen: ObservationSpec) -> Frame:
    """Return the frame that an agent sees of such observations."""
    return Frame(seen.height_px, seen.width_px, 3 * len(seen.cameras))
