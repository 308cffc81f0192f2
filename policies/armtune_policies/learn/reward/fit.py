"""Train any judge on labelled frames, calibrate it on held-out episodes, and say how it errs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import Checked, digest, num
from armtune_policies.learn.augment import random_light, random_shift
from armtune_policies.learn.checkpoint import fingerprint
from armtune_policies.learn.loop import OnProgress, Training, silent
from armtune_policies.learn.networks import seed_everything
from armtune_policies.reward.calibrate import (
    CalibrationParams,
    Limits,
    fit_limits,
    probabilities,
    temperature,
    verdicts,
)
from armtune_policies.reward.frames import split_episodes
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.reward.metrics import VoteRule, by_question, worst

from .background import Background
from .ensemble import apart
from .judge import Asked, Familiarity, Served

BATCH = 128
LOOKED_AT, MINED = 3000, 6000


@dataclass(frozen=True, kw_only=True)
class FitParams(Checked):
    """A judge's training."""

    updates: int = num(2000, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(64, low=4, high=4096, doc="frames per gradient step")
    positives: float = num(0.375, low=0.05, high=0.95, doc="share of a batch that shows success")
    hard: float = num(0.375, low=0.0, high=0.9, doc="share of a batch that the judge was wrong or unsure about")
    mine_from: float = num(0.4, low=0.0, high=1.0, doc="part of the training after which it is asked where it is wrong")
    learning_rate: float = num(2e-3, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-3, low=0.0, high=1.0, doc="of AdamW")
    shift_px: int = num(4, low=0, high=16, doc="longest random shift of an image")
    light: float = num(0.4, low=0.0, high=1.0, doc="strength of random brightness and colour")
    held_out: float = num(0.2, low=0.05, high=0.5, doc="part of the episodes of each kind kept for calibration")
    members: int = num(
        1, low=1, high=16, doc="students that learn apart; their mean answers, in as many times the time"
    )


@dataclass(frozen=True)
class Fitted:
    """A calibrated judge: what is served, how it is read, what it did on held-out frames."""

    served: Served
    limits: Limits
    metrics: Mapping[str, float]
    held: FrameSet
    p: npt.NDArray[np.float64]
    """Calibrated probabilities of the held-out frames, (N,)."""
    verdicts: npt.NDArray[np.uint8]


def split(frames: FrameSet, part: float, seed: int) -> tuple[FrameSet, FrameSet]:
    """Split into training and held-out episodes, each kind by itself."""
    held: list[str] = []
    for kind in frames.kinds:
        names = frames.of_kind(kind).used()
        if len(names) > 1:
            held += split_episodes(names, part, seed)[1]
    out = set(held)
    return frames.of_episodes(n for n in frames.episodes if n not in out), frames.of_episodes(held)


class Batches(nn.Module):
    """Draws rows: so many positives, questions alike; of late, a share of those the judge is wrong about.

    Which those are belongs to the training's state, so it is kept, as a buffer, where networks are.
    """

    is_hard: Tensor

    def __init__(self, frames: FrameSet, params: FitParams) -> None:
        super().__init__()
        self._params = params
        self.register_buffer("is_hard", torch.zeros(len(frames), dtype=torch.bool))
        self._pools = {}
        for true in (True, False):
            pools = [
                np.flatnonzero((frames.question == q) & (frames.is_success == true))
                for q in range(len(frames.questions))
            ]
            self._pools[true] = [pool for pool in pools if len(pool)]
        if not self._pools[True] or not self._pools[False]:
            counts = [sum(map(len, self._pools[true])) for true in (True, False)]
            raise ValueError(
                f"expected success and failure frames, got {counts[0]} and {counts[1]}; collect more episodes"
            )

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return the rows of one batch."""
        p, wrong = self._params, np.flatnonzero(self.is_hard.numpy())
        hard = min(round(p.hard * p.batch), 4 * len(wrong))  # few are not learnt by heart
        plain = p.batch - hard
        yes = max(round(p.positives * plain), 1)
        rows = [self._some(True, yes, rng), self._some(False, plain - yes, rng)]
        return np.concatenate([*rows, rng.choice(wrong, hard)] if hard else rows)

    def _some(self, true: bool, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        pools = self._pools[true]
        which = rng.integers(len(pools), size=count)
        return np.array([pools[w][rng.integers(len(pools[w]))] for w in which], np.int64)


def fit(
    asked: Asked,
    train: FrameSet,
    held: FrameSet,
    params: FitParams | None = None,
    calibration: CalibrationParams | None = None,
    seed: int = 0,
    targets: npt.NDArray[np.float32] | None = None,
    checkpoint: Path | None = None,
    on_progress: OnProgress = silent,
    rule: VoteRule | None = None,
) -> Fitted:
    """Train on some episodes, calibrate on others.

    Args:
        asked: The judge; its net is changed.
        train: Labelled frames.
        held: Those of other episodes, as ``split`` gives them; the vote reads their states.
        params: How it is trained.
        calibration: What its answers must keep to.
        seed: Of the batches; weights are the caller's.
        targets: Probabilities (N,) to learn instead of the training labels, from a teacher.
        checkpoint: Where an interrupted training goes on.
        on_progress: Told of each step.
        rule: The vote that is told of, per episode.

    Raises:
        ValueError: when successes, failures or held-out frames are missing, or the checkpoint is of another training.
    """
    params, calibration = params or FitParams(), calibration or CalibrationParams()
    if not len(held):
        raise ValueError("expected held-out episodes to calibrate on, got none; collect two or more of a kind")
    seed_everything(seed)
    target = torch.from_numpy(train.is_success.astype(np.float32) if targets is None else targets)
    batches, said = Batches(train, params), asked.sentences(train.questions)
    net = asked.net.to(memory_format=torch.channels_last)
    mine_at = {int(params.updates * (params.mine_from + (1 - params.mine_from) * i / 3)) for i in range(3)}

    def loss(rng: np.random.Generator) -> Tensor:
        if params.hard and training.step in mine_at:
            batches.is_hard[_wrong(asked, train, rng)] = True
        rows = batches.draw(rng)
        images = [_shaken(part, params, rng) for part in train.pictures(rows).values()]
        with torch.autocast("cpu", torch.bfloat16):
            logits = apart(net, images, said[train.question[rows]]).float()
        return nn.functional.binary_cross_entropy_with_logits(logits, target[rows].expand_as(logits))

    begun = fingerprint(
        *train.images.values(), train.frame, train.question, train.is_success, target, said, *net.state_dict().values()
    )
    named = digest([type(net).__name__, train.questions, asdict(params), seed, begun])
    training = Training(
        {"net": net, "batches": batches}, loss, params.updates, params.learning_rate, params.weight_decay, seed, named,
        checkpoint,
    )  # fmt: skip
    final = training.run(on_progress)
    net.eval().requires_grad_(False)
    return calibrated(asked, train, held, params, calibration, {"loss": final}, rule or VoteRule())


def calibrated(
    asked: Asked,
    train: FrameSet,
    held: FrameSet,
    params: FitParams,
    calibration: CalibrationParams,
    metrics: Mapping[str, float],
    rule: VoteRule,
    looked_at: int = LOOKED_AT,
) -> Fitted:
    """Return a trained judge with temperature, threshold, band and bound from held-out frames.

    ``looked_at`` training frames say what is familiar.
    """
    familiarity = Familiarity.fitted(_looks(asked, train, params, looked_at))
    logits, looks = answers(asked, held)
    heat = temperature(logits, held.is_success)
    p = probabilities(logits, heat)
    with torch.no_grad():
        distances = familiarity(torch.from_numpy(looks)).numpy()
        level, share = float(np.quantile(distances, 1.0 - calibration.unfamiliar)), calibration.unfamiliar
        background = Background.fitted(_some(train, looked_at), _some(held, len(held)), level, share)
        distances = np.maximum(distances, _off(background, held))
    limits = fit_limits(p, held.is_success, held.question, distances, calibration)
    said = verdicts(p, distances, limits)
    found = worst(by_question(held, said, rule))
    numbers = {f"held_out_{name}": float(value) for name, value in found.items() if value is not None}
    p = np.asarray(p, np.float64)
    served = Served(asked.net, familiarity, heat, background).eval()
    return Fitted(served, limits, {**metrics, "temperature": heat, **numbers}, held, p, said)


def answers(asked: Asked, frames: FrameSet) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return logits (N,) and looks (N, F) of every question of a set."""
    said = asked.sentences(frames.questions)
    logits, looks = [np.zeros(0, np.float32)], []
    with torch.no_grad():
        for start in range(0, len(frames), BATCH):
            rows = np.arange(start, min(start + BATCH, len(frames)))
            images = [torch.from_numpy(part) for part in frames.pictures(rows).values()]
            both = asked.net.both(images, said[frames.question[rows]])
            logits.append(both[0].float().numpy())
            looks.append(both[1].float().numpy())
    return np.concatenate(logits), np.concatenate(looks) if looks else np.zeros((0, 1), np.float32)


def _looks(asked: Asked, train: FrameSet, params: FitParams, most: int = LOOKED_AT) -> npt.NDArray[np.float32]:
    """Return the looks of some training frames, half of them shaken a little as a new table would."""
    rng = np.random.default_rng(7)
    rows = rng.choice(len(train), min(most, len(train)), replace=False)
    parts = []
    mild = FitParams(shift_px=min(params.shift_px, 2), light=params.light / 2)
    with torch.no_grad():
        for start in range(0, len(rows), BATCH):
            pictures = train.pictures(rows[start : start + BATCH])
            images = [
                torch.from_numpy(part) if start % (2 * BATCH) else _shaken(part, mild, rng)
                for part in pictures.values()
            ]
            parts.append(asked.net.look(images).float().numpy())
    return np.concatenate(parts)


def _some(frames: FrameSet, most: int) -> list[npt.NDArray[np.uint8]]:
    """Return the pictures of some frames, by camera."""
    rows = np.sort(np.random.default_rng(8).choice(len(frames), min(most, len(frames)), replace=False))
    return list(frames.pictures(rows).values())


def _off(background: Background, frames: FrameSet) -> npt.NDArray[np.float32]:
    """Return how far from its place the background of every row is, (N,)."""
    parts = [np.zeros(0, np.float32)]
    for start in range(0, len(frames), BATCH):
        rows = np.arange(start, min(start + BATCH, len(frames)))
        parts.append(background([torch.from_numpy(part) for part in frames.pictures(rows).values()]).numpy())
    return np.concatenate(parts)


def _wrong(asked: Asked, train: FrameSet, rng: np.random.Generator, margin: float = 0.15) -> npt.NDArray[np.int64]:
    """Return the rows, of ``MINED`` drawn ones, whose probability is off by more than a margin."""
    net, some = asked.net, np.sort(rng.permutation(len(train))[:MINED])
    net.eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = answers(asked, train.rows(some))
    net.train()
    return some[np.abs(probabilities(logits, 1.0) - train.is_success[some]) > margin]


def _shaken(images: npt.NDArray[np.uint8], params: FitParams, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(random_light(random_shift(images, params.shift_px, rng), params.light, rng))
