"""Behaviour cloning: encoder and head together from demonstrations, then heads alone in seconds.

The loss is Huber on normalised proposals: noisy demonstrations have outliers, and a squared
error would chase them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import ActionSpec, Checked, ObservationSpec, contract_digest, digest, num

from .augment import random_light, random_shift
from .data import Transitions
from .hindsight import HindsightLoss
from .loop import OnProgress, Training, silent
from .networks import Encoder, Head, seed_everything

GRIPPER_WEIGHT = 0.1

Embeddings = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class PretrainParams(Checked):
    """Encoder and head together."""

    updates: int = num(900, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(64, low=2, high=4096, doc="rows per gradient step")
    learning_rate: float = num(1e-3, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-4, low=0.0, high=1.0, doc="of AdamW")
    shift_px: int = num(2, low=0, high=16, doc="longest random shift of an image")
    light: float = num(0.2, low=0.0, high=1.0, doc="strength of random brightness and colour")
    state_noise: float = num(0.1, low=0.0, high=1.0, doc="noise on the state, in its spreads")
    dropout: float = num(0.1, low=0.0, high=0.9, doc="part of the features the head does without")
    hindsight: float = num(1.0, low=0.0, high=100.0, doc="weight of finding the places a demonstration shows")
    huber: float = num(0.2, low=1e-3, high=10.0, doc="error beyond which the loss grows linearly, of the range -1..1")


@dataclass(frozen=True, kw_only=True)
class RefitParams(Checked):
    """A head alone, on the frozen encoder's features."""

    updates: int = num(300, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(128, low=2, high=4096, doc="rows per gradient step")
    learning_rate: float = num(3e-4, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-4, low=0.0, high=1.0, doc="of AdamW")
    copies: int = num(4, low=0, high=32, doc="shaken copies of each episode's images beside the images as they were")
    shift_px: int = num(2, low=0, high=16, doc="longest random shift of a copy")
    light: float = num(0.2, low=0.0, high=1.0, doc="strength of random brightness and colour of a copy")
    dropout: float = num(0.1, low=0.0, high=0.9, doc="part of the features the head does without")
    state_noise: float = num(0.1, low=0.0, high=1.0, doc="noise on the state, in its spreads")
    huber: float = num(0.2, low=1e-3, high=10.0, doc="error beyond which the loss grows linearly, of the range -1..1")
    own_share: float = num(
        0.5, low=0.0, high=1.0, doc="share of the arm's own successes in a batch, once there are any"
    )


@dataclass(frozen=True)
class Pretrained:
    """What a pre-training hands on."""

    encoder: Encoder
    head: Head
    loss: float


def pretrain(
    data: Transitions,
    embeddings: Embeddings,
    action: ActionSpec,
    observation: ObservationSpec,
    params: PretrainParams | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    on_progress: OnProgress = silent,
) -> Pretrained:
    """Train encoder and head by behaviour cloning; the same call resumes from ``checkpoint``.

    Raises:
        ValueError: when the checkpoint is of other data or settings.
    """
    params = params or PretrainParams()
    seed_everything(seed)
    encoder = Encoder(observation)
    head = Head(action, encoder.feature_size)
    head.set_state_scale(torch.from_numpy(data.state))
    state, target = torch.from_numpy(data.state), head.normalised(torch.from_numpy(data.action))
    said = torch.from_numpy(np.stack([embeddings[s] for s in data.sentences]))
    noise = params.state_noise * head.state_scale
    hindsight = HindsightLoss(data, encoder.feature_size)

    def loss(rng: np.random.Generator) -> Tensor:
        rows = rng.integers(len(data), size=params.batch)
        images = [_augmented(data.images[c][rows], params, rng) for c in observation.cameras]
        shaken = state[rows] + noise * _normal(rng, (len(rows), state.shape[1]))
        seen = encoder(*images)
        raw = head.raw(nn.functional.dropout(seen, params.dropout), shaken, said[data.sentence[rows]])
        return imitation_loss(raw, target[rows], params.huber) + params.hindsight * hindsight(seen, rows)

    training = Training(
        nets={"encoder": encoder, "head": head, "hindsight": hindsight},
        loss=loss,
        updates=params.updates,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        seed=seed,
        digest=digest([data.digest, asdict(params), seed, contract_digest(action, observation)]),
        checkpoint=checkpoint,
    )
    final = training.run(on_progress)
    encoder.eval().requires_grad_(False)
    return Pretrained(encoder, head.eval(), final)


def refit_head(
    head: Head,
    features: npt.NDArray[np.float32],
    data: Transitions,
    embeddings: Embeddings,
    is_own: npt.NDArray[np.bool_],
    params: RefitParams | None = None,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> tuple[Head, float]:
    """Return a copy of ``head`` trained further on cached features, and its last loss.

    Args:
        head: Where to start; not changed.
        features: Of the frozen encoder, float32, shape (N, F), row by row with ``data``.
        data: The rows to imitate.
        embeddings: By sentence, float32, each (384,).
        is_own: Rows the arm made itself in practice, not demonstrations, shape (N,).
        params: Settings of the refit.
        seed: Of the batches and the noise.
        on_progress: Told now and then.
    """
    params = params or RefitParams()
    if features.shape[0] != len(data):
        raise ValueError(f"features: expected {len(data)} rows, got {features.shape[0]}")
    seed_everything(seed)
    head = copy.deepcopy(head).train()
    seen, state = torch.from_numpy(features), torch.from_numpy(data.state)
    target = head.normalised(torch.from_numpy(data.action))
    said = torch.from_numpy(np.stack([embeddings[s] for s in data.sentences]))
    noise = params.state_noise * head.state_scale
    upto = np.cumsum(row_shares(is_own, data.sentence, params.own_share))

    def loss(rng: np.random.Generator) -> Tensor:
        rows = np.minimum(np.searchsorted(upto, rng.random(params.batch), side="right"), len(data) - 1)
        shaken = state[rows] + noise * _normal(rng, (len(rows), state.shape[1]))
        raw = head.raw(nn.functional.dropout(seen[rows], params.dropout), shaken, said[data.sentence[rows]])
        return imitation_loss(raw, target[rows], params.huber)

    training = Training(
        nets={"head": head},
        loss=loss,
        updates=params.updates,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        seed=seed,
        digest="",
    )
    final = training.run(on_progress)
    return head.eval(), final


def row_shares(
    is_own: npt.NDArray[np.bool_], sentence: npt.NDArray[np.int64], own_share: float
) -> npt.NDArray[np.float64]:
    """Return how often each row is drawn, shape (N,), summing to 1.

    The encoder has seen the demonstrations' very images, not those of practice, so features
    of practice are few and honest: they get ``own_share`` of a batch. Within each part both
    sentences count alike, however often each succeeded.
    """
    shares = np.zeros(len(sentence))
    for rows, share in ((is_own, own_share), (~is_own, 1.0 - own_share)):
        present = np.unique(sentence[rows])
        for one in present:
            mine = rows & (sentence == one)
            shares[mine] = share / len(present) / mine.sum()
    return shares / shares.sum()


def imitation_loss(raw: Tensor, target: Tensor, delta: float) -> Tensor:
    """Return Huber on the normalised motion, and cross entropy on the gripper.

    A gripper is open or shut, so its error is that of a decision: a mean of both is neither.

    Args:
        raw: Of the head, before tanh, shape (N, 7).
        target: Normalised to -1..1, shape (N, 7); the gripper last.
        delta: Error beyond which the loss grows linearly.
    """
    motion = nn.functional.huber_loss(torch.tanh(raw[:, :-1]), target[:, :-1], delta=delta) / delta
    is_open = (target[:, -1] + 1.0) / 2.0
    return motion + GRIPPER_WEIGHT * nn.functional.binary_cross_entropy_with_logits(2.0 * raw[:, -1], is_open)


def encode(encoder: Encoder, data: Transitions, batch: int = 256) -> npt.NDArray[np.float32]:
    """Return the features of every row, float32, shape (N, F)."""
    images = [torch.from_numpy(data.images[camera]) for camera in data.images]
    with torch.no_grad():
        parts = [encoder(*(i[start : start + batch] for i in images)) for start in range(0, len(data), batch)]
    return torch.cat(parts).numpy()


def _augmented(images: npt.NDArray[np.uint8], params: PretrainParams, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(random_light(random_shift(images, params.shift_px, rng), params.light, rng))


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
