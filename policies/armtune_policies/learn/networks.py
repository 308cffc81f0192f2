"""The networks: a small encoder of where things are, a head that proposes, a success classifier.

Images enter as uint8 and states in physical units: normalisation lives inside the graphs,
so nothing outside can get it wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec
from armtune_policies.runtime.session import SENTENCE_SIZE

KEYPOINTS = 24
POOLED = 16
SENTENCE_WIDTH = 32
DECIDED = 4.0
"""Gain on the gripper's logit when acting: it opens or shuts, where the mean would hang half-way."""


def seed_everything(seed: int) -> None:
    """Make what follows repeatable, and keep torch to one thread: cores are shared with control."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself; where it is only imitated, float32 is faster."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class Trunk(nn.Module):
    """Convolutions over one camera: uint8 (N, H, W, 3) to a map (N, 32, H/4, W/4), before its last ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image.permute(0, 3, 1, 2).to(torch.float32) / 255.0 - 0.5)


CAP = 20.0
"""Largest keypoint logit; e^40 between two pixels is as good as infinite."""


class Keypoints(nn.Module):
    """Spatial soft-argmax: where each channel is bright, x and y in -1..1 (Levine et al. 2016)."""

    grid: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        self.register_buffer("grid", torch.stack([xs.flatten(), ys.flatten()], dim=1))
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, 2 C) of maps (N, C, H, W)."""
        # Capped: differences of hundreds would turn float32's last bit into a visible shift.
        capped = CAP * torch.tanh(maps.flatten(2) * self.sharpness / CAP)
        weights = torch.softmax(capped, dim=2)
        return (weights @ self.grid).flatten(1)


class Encoder(nn.Module):
    """Images to features: per camera, keypoints (where) and pooled channels (what); F = 64 a camera."""

    def __init__(self, spec: ObservationSpec) -> None:
        super().__init__()
        height, width = (spec.height_px + 3) // 4, (spec.width_px + 3) // 4
        self.trunks = nn.ModuleList(Trunk() for _ in spec.cameras)
        self.maps = nn.ModuleList(nn.Conv2d(32, KEYPOINTS, 1) for _ in spec.cameras)
        self.keypoints = Keypoints(height, width)
        self.pooled = nn.ModuleList(nn.Linear(32, POOLED) for _ in spec.cameras)
        self.feature_size = (2 * KEYPOINTS + POOLED) * len(spec.cameras)

    def forward(self, *images: Tensor) -> Tensor:
        """Return float32 (N, F) of one uint8 (N, H, W, 3) per camera, in the spec's order."""
        parts = []
        for image, trunk, maps, pooled in zip(images, self.trunks, self.maps, self.pooled):
            seen = trunk(image)
            parts += [self.keypoints(maps(torch.relu(seen))), torch.tanh(pooled(torch.relu(seen).mean(dim=(2, 3))))]
        return torch.cat(parts, dim=1)


class Head(nn.Module):
    """Features, state and sentence to a proposal inside the action bounds; FiLM by the sentence."""

    centre: Tensor
    half_range: Tensor
    state_mean: Tensor
    state_scale: Tensor

    def __init__(self, spec: ActionSpec, feature_size: int, hidden: int = 256) -> None:
        super().__init__()
        low, high = torch.tensor(spec.low), torch.tensor(spec.high)
        self.register_buffer("centre", (high + low) / 2)
        self.register_buffer("half_range", (high - low) / 2)
        self.register_buffer("state_mean", torch.zeros(len(STATE_NAMES)))
        self.register_buffer("state_scale", torch.ones(len(STATE_NAMES)))
        self.sentence = nn.Linear(SENTENCE_SIZE, SENTENCE_WIDTH)
        self.first = nn.Linear(feature_size + len(STATE_NAMES) + SENTENCE_WIDTH, hidden)
        self.film = nn.Linear(SENTENCE_WIDTH, 2 * hidden)
        self.second = nn.Linear(hidden, hidden)
        self.norms = nn.ModuleList([nn.LayerNorm(feature_size), nn.LayerNorm(hidden), nn.LayerNorm(hidden)])
        self.out = nn.Linear(hidden, len(spec.names))

    def set_state_scale(self, state: Tensor) -> None:
        """Normalise states as these (N, 7) are spread; a joint that never moves keeps scale 1."""
        spread = state.std(dim=0, correction=0)
        self.state_mean.copy_(state.mean(dim=0))
        self.state_scale.copy_(torch.where(spread > 1e-3, spread, torch.ones_like(spread)))

    def raw(self, features: Tensor, state: Tensor, sentence: Tensor) -> Tensor:
        """Return the proposal before its tanh, (N, 7); half the logit of "open" in the last column."""
        said = torch.relu(self.sentence(sentence))
        # Beyond four spreads a state says no more than "far": keeps absurd inputs harmless.
        near = torch.clamp((state - self.state_mean) / self.state_scale, -4.0, 4.0)
        hidden = self.norms[1](self.first(torch.cat([self.norms[0](features), near, said], dim=1)))
        gain, shift = self.film(said).chunk(2, dim=1)
        hidden = torch.relu(hidden * (1.0 + gain) + shift)
        hidden = torch.relu(self.norms[2](self.second(hidden)))
        return self.out(hidden)

    def forward(self, features: Tensor, state: Tensor, sentence: Tensor) -> Tensor:
        """Return the proposal in physical units, (N, 7): metres, radians, opening."""
        raw = self.raw(features, state, sentence)
        raw = torch.cat([raw[:, :-1], DECIDED * raw[:, -1:]], dim=1)
        return self.centre + self.half_range * torch.tanh(raw)

    def normalised(self, action: Tensor) -> Tensor:
        """Map an action in physical units onto -1..1."""
        return (action - self.centre) / self.half_range
