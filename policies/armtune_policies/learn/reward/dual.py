"""The teacher: an image-text dual encoder on locked towers, its projections trained contrastively (LiT, SigLIP)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import Checked, num
from armtune_policies.learn.augment import random_light, random_shift
from armtune_policies.learn.loop import OnProgress, Training, silent
from armtune_policies.learn.networks import seed_everything
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.runtime.session import SENTENCE_SIZE

from .judge import Asked

QUERIES, WIDTH = 4, 128
CHUNK = 32


class DualEncoder(nn.Module):
    """Image and sentence each to a unit vector; their product, scaled and shifted, is the logit of yes.

    The image's tower is locked, the sentence's is MiniLM, run beforehand: only projections are trained. Tokens are
    pooled by learned queries, so that a small thing can be looked at.
    """

    def __init__(self, tower: nn.Module, cameras: int = 1) -> None:
        """``tower`` gives tokens (N, T, C) of uint8 (N, H, W, 3), and says C as ``width``."""
        super().__init__()
        self.tower = tower
        width = int(tower.width)  # type: ignore[arg-type]
        self.norm = nn.LayerNorm(width)
        self.token = nn.Linear(width, WIDTH)
        self.query = nn.Linear(width, QUERIES)
        self.image = nn.Sequential(nn.Linear(cameras * QUERIES * WIDTH, 256), nn.GELU(), nn.Linear(256, WIDTH))
        self.text = nn.Sequential(nn.Linear(SENTENCE_SIZE, 256), nn.GELU(), nn.Linear(256, WIDTH))
        self.scale, self.shift = nn.Parameter(torch.tensor(2.3)), nn.Parameter(torch.tensor(-5.0))

    def tokens(self, images: Sequence[Tensor]) -> Tensor:
        """Return the locked tower's tokens, (N, cameras, T, C)."""
        return torch.stack([self.tower(image) for image in images], dim=1)

    def see(self, tokens: Tensor) -> Tensor:
        """Return unit vectors (N, D) of tokens (N, cameras, T, C)."""
        normed = self.norm(tokens)
        weights = torch.softmax(self.query(normed), dim=2)
        pooled = (weights.transpose(2, 3) @ self.token(normed)).flatten(1)
        return nn.functional.normalize(self.image(pooled), dim=1)

    def read(self, sentence: Tensor) -> Tensor:
        """Return unit vectors (N, D) of sentence embeddings (N, 384)."""
        return nn.functional.normalize(self.text(sentence), dim=1)

    def compare(self, seen: Tensor, read: Tensor) -> Tensor:
        """Return logits of unit vectors that broadcast, the last axis theirs."""
        return (seen * read).sum(dim=-1) * self.scale.exp() + self.shift

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return the mean and the class token of each camera, (N, F): what tells a strange picture."""
        return self._look(self.tokens(images))

    @staticmethod
    def _look(tokens: Tensor) -> Tensor:
        return torch.cat([tokens[:, :, 0], tokens.mean(dim=2)], dim=2).flatten(1)

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks; the tower runs once."""
        tokens = self.tokens(images)
        return self.compare(self.see(tokens), self.read(sentence)), self._look(tokens)

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of one uint8 (N, H, W, 3) per camera and the sentence (N, 384), before calibration."""
        return self.compare(self.see(self.tokens(images)), self.read(sentence))


@dataclass(frozen=True, kw_only=True)
class TeachParams(Checked):
    """A dual encoder's training."""

    updates: int = num(1500, low=1, high=1_000_000, doc="gradient steps")
    batch: int = num(64, low=2, high=4096, doc="frames per gradient step")
    learning_rate: float = num(1e-3, low=1e-6, high=1e-1, doc="peak step size of AdamW")
    weight_decay: float = num(1e-2, low=0.0, high=1.0, doc="of AdamW")
    frames: int = num(
        4000, low=2, high=1_000_000, doc="frames whose tokens are kept, half of them of success if there are"
    )
    shift_px: int = num(2, low=0, high=16, doc="shift of the second, shaken view of each frame; 0 with light 0: none")
    light: float = num(0.2, low=0.0, high=1.0, doc="brightness and colour of that view")


def teach(
    asked: Asked,
    frames: FrameSet,
    wordings: Mapping[str, Sequence[str]],
    un_task: Mapping[str, str],
    params: TeachParams | None = None,
    seed: int = 0,
    on_progress: OnProgress = silent,
    on_frames: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """Train the projections of ``asked.net`` on labelled frames; return the last loss.

    Each frame meets every question in one of its wordings, drawn anew: yes and no where it is labelled, no where the
    question is another task's, and nothing where it is not known (a sigmoid loss over pairs, Zhai et al. 2023).

    Args:
        asked: A ``DualEncoder``, and sentences' embeddings.
        frames: Training frames.
        wordings: More ways to ask each question.
        un_task: By sentence, the one that undoes it: of that nothing is known unless it is labelled.
        params: How it is trained.
        seed: Of everything.
        on_progress: Told of each step.
        on_frames: Told how many frames have been through the tower.

    Raises:
        ValueError: when the loss is not finite.
    """
    params, net = params or TeachParams(), asked.net
    seed_everything(seed)
    picked = _picked(frames, params.frames, seed)
    views = _tokens(net, frames, picked, params, seed, on_frames)  # type: ignore[arg-type]
    table = torch.from_numpy(_answers(frames, un_task)[picked])
    said = [asked.sentences([question, *wordings.get(question, ())]) for question in frames.questions]
    yes = np.flatnonzero((table == 1).any(dim=1).numpy())
    no = np.flatnonzero(~(table == 1).any(dim=1).numpy())

    def loss(rng: np.random.Generator) -> Tensor:
        half = params.batch // 2 if len(yes) and len(no) else 0
        rows = (
            np.concatenate([rng.choice(yes, half), rng.choice(no, params.batch - half)])
            if half
            else rng.integers(len(picked), size=params.batch)
        )
        view = views[rng.integers(len(views))]
        words = torch.stack([rows_[rng.integers(len(rows_))] for rows_ in said])
        logits = net.compare(net.see(view[rows].float())[:, None], net.read(words)[None])
        answer = table[rows]
        known = answer >= 0
        each = nn.functional.binary_cross_entropy_with_logits(logits, answer.clamp(min=0).float(), reduction="none")
        weight = torch.where(answer == 1, 3.0, 1.0) * known
        return (each * weight).sum() / weight.sum()

    training = Training({"net": net}, loss, params.updates, params.learning_rate, params.weight_decay, seed, "teacher")
    final = training.run(on_progress)
    net.eval().requires_grad_(False)
    return final


def _answers(frames: FrameSet, un_task: Mapping[str, str]) -> npt.NDArray[np.int64]:
    """Return per frame and question 1 for yes, 0 for no, -1 for not known; other tasks' questions are no."""
    places = {question: i for i, question in enumerate(frames.questions)}
    others = np.ones((len(frames.questions), len(frames.questions)), bool)
    for question, place in places.items():
        others[place, place] = False
        if un_task.get(question) in places:
            others[place, places[un_task[question]]] = False
    table = np.full((len(frames.state), len(frames.questions)), -1, np.int64)
    table[frames.frame] = np.where(others[frames.question], 0, -1)
    table[frames.frame, frames.question] = frames.is_success
    return table


def _picked(frames: FrameSet, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Return frames to learn from, up to half of them with a yes."""
    rng = np.random.default_rng([seed, 5])
    used = np.unique(frames.frame)
    has_yes = np.zeros(len(frames.state), bool)
    has_yes[frames.frame[frames.is_success]] = True
    yes, no = used[has_yes[used]], used[~has_yes[used]]
    some = rng.permutation(yes)[: most // 2]
    return np.sort(np.concatenate([some, rng.permutation(no)[: most - len(some)]]))


def _tokens(
    net: DualEncoder,
    frames: FrameSet,
    picked: npt.NDArray[np.int64],
    params: TeachParams,
    seed: int,
    on_frames: Callable[[int, int], None],
) -> list[Tensor]:
    """Return the tokens of the frames, and of a shaken view of them, in half precision: the tower runs once."""
    shaken = bool(params.shift_px or params.light)
    views: list[Tensor] = []
    for view in range(1 + shaken):
        rng, parts = np.random.default_rng([seed, 6]), []
        for start in range(0, len(picked), CHUNK):
            rows = picked[start : start + CHUNK]
            images = [part[rows] for part in frames.images.values()]
            if view:
                images = [random_light(random_shift(i, params.shift_px, rng), params.light, rng) for i in images]
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                parts.append(net.tokens([torch.from_numpy(i) for i in images]).to(torch.float16))
            on_frames(view * len(picked) + start + len(rows), (1 + shaken) * len(picked))
        views.append(torch.cat(parts))
    return views
