"""Train the success classifier on labelled frames, calibrate it, and say how it errs per episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import Checked, ObservationSpec, digest, num
from armtune_policies.reward.frames import DROPPED, POSITIVE, EpisodeFacts, balanced_batch, label_frames, split_episodes
from armtune_policies.reward.vote import first_complete, verdict
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.nouns import SUCCESS

from .augment import random_light, random_shift
from .loop import OnProgress, Training, silent
from .networks import SuccessNet, seed_everything

Embeddings = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class RewardTrainParams(Checked):
    """The success classifier's training."""

    updates: int = num(600, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(64, low=2, high=4096, doc="frames per gradient step, half of them successes")
    learning_rate: float = num(1e-3, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-3, low=0.0, high=1.0, doc="of AdamW")
    shift_px: int = num(3, low=0, high=16, doc="longest random shift of an image")
    light: float = num(0.3, low=0.0, high=1.0, doc="strength of random brightness and colour")
    held_out: float = num(0.25, low=0.05, high=0.5, doc="part of the episodes kept for calibration")
    vote_need: int = num(2, low=1, high=100, doc="answers of yes that complete the vote")
    vote_window: int = num(3, low=1, high=100, doc="answers the vote looks back on")


@dataclass(frozen=True)
class Frames:
    """Labelled frames: images uint8 (N, H, W, 3) by camera; the rest (N,)."""

    images: Mapping[str, npt.NDArray[np.uint8]]
    sentence: npt.NDArray[np.int64]
    sentences: tuple[str, ...]
    is_success: npt.NDArray[np.bool_]
    episode_id: npt.NDArray[np.str_]
    step: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.is_success)

    def of(self, episode_ids: Sequence[str]) -> Frames:
        """Return the frames of some episodes."""
        keep = np.isin(self.episode_id, list(episode_ids))
        images = {camera: frames[keep] for camera, frames in self.images.items()}
        return Frames(
            images, self.sentence[keep], self.sentences, self.is_success[keep], self.episode_id[keep], self.step[keep]
        )


@dataclass(frozen=True)
class TrainedReward:
    """A calibrated classifier, the probability above which it says yes, and how it erred on held-out episodes."""

    net: SuccessNet
    threshold: float
    metrics: Mapping[str, float]


def frames(
    episodes: Iterable[Episode],
    observation: ObservationSpec,
    sentences: tuple[str, ...],
    positive: int = POSITIVE,
    dropped: int = DROPPED,
) -> Frames:
    """Label the whole rows of episodes; the other sentence of a pair of two is the un-task.

    Args:
        episodes: Successes and failures, as read from files.
        observation: Cameras to look through.
        sentences: What the classifier will know.
        positive: Last frames of a success that show it.
        dropped: Frames before those that may or may not.

    Raises:
        ValueError: when no episode gives a frame.
    """
    images: dict[str, list[npt.NDArray[np.uint8]]] = {camera: [] for camera in observation.cameras}
    rows: list[tuple[int, bool, str, int]] = []
    for episode in episodes:
        others = [s for s in sentences if s != episode.sentence]
        facts = EpisodeFacts(
            episode.episode_id,
            episode.sentence,
            episode.steps,
            episode.outcome == SUCCESS,
            others[0] if len(others) == 1 else "",
        )
        for label in label_frames(facts, positive, dropped):
            if not episode.complete[label.step]:
                continue
            rows.append((sentences.index(label.sentence), label.is_success, label.episode_id, label.step))
            for camera in observation.cameras:
                images[camera].append(episode.images[camera][label.step])
    if not rows:
        raise ValueError("no frames to learn success from; collect demonstrations first (`armtune collect`)")
    said, done, names, steps = zip(*rows)
    stacked = {camera: np.stack(part) for camera, part in images.items()}
    return Frames(stacked, np.array(said), sentences, np.array(done), np.array(names), np.array(steps))


def train_reward(
    data: Frames,
    embeddings: Embeddings,
    observation: ObservationSpec,
    params: RewardTrainParams | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    on_progress: OnProgress = silent,
) -> TrainedReward:
    """Train on most episodes, calibrate temperature and threshold on the held-out ones.

    Raises:
        ValueError: when successes or failures are missing, or the checkpoint is of other data.
    """
    params = params or RewardTrainParams()
    seed_everything(seed)
    names = sorted(set(data.episode_id.tolist()))
    train_ids, held_ids = split_episodes(names, params.held_out, np.random.default_rng([seed, 1]))
    train, held = data.of(train_ids), data.of(held_ids)
    balanced_batch(train.is_success, 2, np.random.default_rng(0))  # refuse one-sided data before the work
    net = SuccessNet(observation)
    said = torch.from_numpy(np.stack([embeddings[s] for s in data.sentences]))

    def loss(rng: np.random.Generator) -> Tensor:
        rows = balanced_batch(train.is_success, params.batch, rng)
        images = [_augmented(train.images[c][rows], params, rng) for c in observation.cameras]
        logits = net.logits(images, said[train.sentence[rows]])
        target = torch.from_numpy(train.is_success[rows].astype(np.float32))
        return nn.functional.binary_cross_entropy_with_logits(logits, target)

    training = Training(
        nets={"reward": net},
        loss=loss,
        updates=params.updates,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        seed=seed,
        digest=digest([names, len(data), asdict(params), seed, observation.digest]),
        checkpoint=checkpoint,
    )
    final = training.run(on_progress)
    net.eval().requires_grad_(False)
    logits = _logits(net, held, said) if len(held) else np.zeros(0, np.float32)
    if 0 < held.is_success.sum() < len(held):
        net.temperature.fill_(temperature(logits, held.is_success))
    probabilities = 1.0 / (1.0 + np.exp(-logits / float(net.temperature)))
    threshold = choose_threshold(held, probabilities, params)
    return TrainedReward(net, threshold, {"loss": final, **errors(held, probabilities, threshold, params)})


def temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]) -> float:
    """Return the temperature of least balanced log loss (Guo et al. 2017), out of 0.5 to 10.

    Held-out frames are few, so a classifier without errors is not made surer than it was.
    """
    weight = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    signed = np.where(labels, logits, -logits).astype(np.float64)
    grid = np.geomspace(0.5, 10.0, 60)
    losses = [float(np.sum(weight * np.logaddexp(0.0, -signed / t))) for t in grid]
    return max(float(grid[int(np.argmin(losses))]), 1.0)


def choose_threshold(held: Frames, probabilities: npt.NDArray[np.floating], params: RewardTrainParams) -> float:
    """Return the threshold with most hits less false stops per episode; of equals, the middle one."""
    grid = np.linspace(0.3, 0.8, 21)  # above, few held-out frames would decide that nothing ever succeeds
    if not len(held):
        return 0.5
    scores = [_score(errors(held, probabilities, float(t), params)) for t in grid]
    best = grid[np.isclose(scores, max(scores))]
    return float(best[len(best) // 2])


def errors(
    held: Frames, probabilities: npt.NDArray[np.floating], threshold: float, params: RewardTrainParams
) -> dict[str, float]:
    """Return how the classifier errs: per frame, and per episode with the vote.

    A *false stop* is a vote that completes on frames labelled failure; a *hit* one that
    completes on the last frames of a success. Rates without a case are left out.
    """
    says = probabilities > threshold
    counts = {
        "frames": float(len(held)),
        "frame_precision": _rate(held.is_success, says),
        "frame_recall": _rate(says, held.is_success),
        "frame_false_positives": _rate(says, ~held.is_success),
    }
    stops: list[bool] = []
    hits: list[bool] = []
    for key in {(e, int(s)) for e, s in zip(held.episode_id.tolist(), held.sentence)}:
        mine = (held.episode_id == key[0]) & (held.sentence == key[1])
        for group, truth in ((stops, False), (hits, True)):
            part = mine & (held.is_success == truth)
            order = np.argsort(held.step[part], kind="stable")
            answers = [verdict(float(p), threshold) for p in probabilities[part][order]]
            if answers:
                group.append(first_complete(answers, params.vote_need, params.vote_window) is not None)
    counts["episode_false_stops"] = float(np.mean(stops)) if stops else None
    counts["episode_hits"] = float(np.mean(hits)) if hits else None
    return {name: value for name, value in counts.items() if value is not None}


def _score(metrics: Mapping[str, float]) -> float:
    return metrics.get("episode_hits", 0.0) - metrics.get("episode_false_stops", 0.0)


def _rate(what: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float | None:
    return float(what[among].mean()) if among.any() else None


def _logits(net: SuccessNet, data: Frames, said: Tensor) -> npt.NDArray[np.float32]:
    parts = []
    with torch.no_grad():
        for start in range(0, len(data), 256):
            images = [torch.from_numpy(frames[start : start + 256]) for frames in data.images.values()]
            parts.append(net.logits(images, said[data.sentence[start : start + 256]]))
    return torch.cat(parts).numpy()


def _augmented(images: npt.NDArray[np.uint8], params: RewardTrainParams, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(random_light(random_shift(images, params.shift_px, rng), params.light, rng))
