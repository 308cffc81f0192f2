"""The replay: a ring of rows allocated once, each observation stored once, sampled in one gather.

Row i's next observation is row i + 1, so nothing is stored twice. A row can be sampled when its
action and reward are known and it either ended in success or is followed by its next
observation. Three cases are easy to get wrong and are tested: a time limit (bootstraps from the
last observation, which is itself never sampled), a success in the last slot of the ring, and
the oldest rows while newer ones overwrite their episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from .actor_critic import Seen
from .context import Batch
from .pixels import in_channels, with_shifts
from .returns import transformed
from .settings import AgentParams
from .trajectory import BadData, Trajectory

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class RowShape:
    """What a row holds; ``images`` (H, W) by camera."""

    state: int
    action: int
    features: int = 0
    half_features: bool = False
    """Whether features are kept in float16."""
    images: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def vector(self) -> int:
        """Numbers of a whole observation vector: features, then state."""
        return self.features + self.state


class Replay:
    """A ring of ``capacity`` rows; whole trajectories go in, batches come out."""

    def __init__(self, capacity: int, shape: RowShape, params: AgentParams) -> None:
        self.capacity, self.shape, self._params = capacity, shape, params
        half = np.float16 if shape.half_features else np.float32
        self._columns: dict[str, npt.NDArray[np.generic]] = {
            "features": np.zeros((capacity, shape.features), half),
            "state": np.zeros((capacity, shape.state), np.float32),
            "action": np.zeros((capacity, shape.action), np.float32),
            "expert": np.zeros((capacity, shape.action), np.float32),
            "numbers": np.zeros((capacity, 4), np.float32),  # reward, bootstrap, return, imitate: one gather
            "sentence": np.zeros(capacity, np.int64),
            **{f"image.{name}": np.zeros((capacity, *size, 3), np.uint8) for name, size in shape.images.items()},
        }
        self._step_to_next = np.zeros(capacity, np.int8)
        self._is_usable = np.zeros(capacity, bool)
        self._weight = np.ones(capacity, np.float32)
        self._usable: Rows | None = None
        self._sums: npt.NDArray[np.float64] | None = None
        self._head = self.added = 0

    @property
    def nbytes(self) -> int:
        """Memory of the ring [bytes], full or empty."""
        return sum(column.nbytes for column in self._columns.values()) + 6 * self.capacity

    @property
    def usable(self) -> Rows:
        """The rows that can be sampled."""
        if self._usable is None:
            self._usable = np.flatnonzero(self._is_usable)
            weights = self._weight[self._usable].astype(np.float64)
            self._sums = np.cumsum(weights) if len(weights) and np.ptp(weights) > 0 else None
        return self._usable

    def __len__(self) -> int:
        return len(self.usable)

    def add(self, trajectory: Trajectory) -> int:
        """Store a trajectory over the oldest rows; return how many of its rows can be sampled.

        Raises:
            BadData: when it is longer than the ring or has other sizes.
        """
        self._fits(trajectory)
        count = len(trajectory)
        slots = (self._head + np.arange(count)) % self.capacity
        reward, returns = transformed(trajectory, self._params)
        bootstrap = ~trajectory.terminated
        expert, is_known = worth_imitating(trajectory)
        self._columns["features"][slots] = trajectory.features
        self._columns["state"][slots] = trajectory.state
        self._columns["action"][slots] = trajectory.action
        self._columns["expert"][slots] = expert
        self._columns["numbers"][slots] = np.stack([reward, bootstrap, returns, is_known], axis=1)
        self._columns["sentence"][slots] = trajectory.sentence
        for name in self.shape.images:
            self._columns[f"image.{name}"][slots] = trajectory.images[name]
        self._step_to_next[slots] = trajectory.follows
        self._is_usable[slots] = trajectory.usable & (trajectory.weight > 0)
        self._weight[slots] = trajectory.weight
        self._usable = None
        self._head = (self._head + count) % self.capacity
        self.added += count
        return int(self._is_usable[slots].sum())

    def draw(self, rng: np.random.Generator, count: int) -> Rows:
        """Return ``count`` rows with replacement, as often as their trajectories' weights say.

        Raises:
            ValueError: when there is none.
        """
        if not len(self):
            raise ValueError("the replay is empty: add a trajectory with at least one usable step first")
        if self._sums is None:
            return self.usable[rng.integers(len(self), size=count)]
        return self.usable[np.searchsorted(self._sums, rng.random(count) * self._sums[-1], side="right")]

    def next_rows(self, rows: Rows) -> Rows:
        """Return where the next observations are; a success, whose next does not count, is its own."""
        return (rows + self._step_to_next[rows]) % self.capacity

    def frames(self, rows: Rows, camera: str) -> npt.NDArray[np.uint8]:
        """Return uint8 images (B, H, W, 3) of some rows."""
        return np.asarray(self._columns[f"image.{camera}"].take(rows, axis=0), np.uint8)

    def seen_by(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return observation vectors, float32 (B, F + S)."""
        out = np.empty((len(rows), self.shape.vector), np.float32)
        out[:, : self.shape.features] = self._columns["features"].take(rows, axis=0)
        out[:, self.shape.features :] = self._columns["state"].take(rows, axis=0)
        return out

    def gather(self, rows: Rows) -> Batch:
        """Return the transitions of some rows."""
        both = np.concatenate([rows, self.next_rows(rows)])
        image, next_image = self._images(both, len(rows))
        vector, sentence = torch.from_numpy(self.seen_by(both)), torch.from_numpy(self._columns["sentence"].take(both))
        numbers = torch.from_numpy(self._columns["numbers"].take(rows, axis=0))
        count = len(rows)
        return Batch(
            seen=Seen(vector[:count], sentence[:count], image),
            action=torch.from_numpy(self._columns["action"].take(rows, axis=0)),
            reward=numbers[:, 0],
            bootstrap=numbers[:, 1],
            next_seen=Seen(vector[count:], sentence[count:], next_image),
            mc_return=numbers[:, 2],
            imitate=numbers[:, 3],
            expert=torch.from_numpy(self._columns["expert"].take(rows, axis=0)),
        )

    def sample(self, rng: np.random.Generator, count: int) -> Batch:
        """Return ``count`` transitions, by weight, and how to shift their images."""
        return with_shifts(self.gather(self.draw(rng, count)), rng, count, self._params.shift_px)

    def spread(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the usable observation vectors, (D,) each."""
        vectors = self.seen_by(self.usable)
        return torch.from_numpy(vectors.mean(axis=0)), torch.from_numpy(vectors.std(axis=0))

    def _images(self, rows: Rows, count: int) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Return the first ``count`` rows' images and the others'."""
        image = in_channels([self.frames(rows, camera) for camera in self.shape.images])
        return (None, None) if image is None else (image[:count], image[count:])

    def _fits(self, trajectory: Trajectory) -> None:
        if len(trajectory) > self.capacity:
            raise BadData(trajectory.source, "rows", f"at most the ring's {self.capacity}", len(trajectory))
        for name in ("features", "state", "action"):
            want, got = getattr(self.shape, name), getattr(trajectory, name).shape[1]
            if got != want:
                raise BadData(trajectory.source, name, f"{want} numbers a row", got)
        for camera, size in self.shape.images.items():
            image = trajectory.images.get(camera)
            if image is None or image.dtype != np.uint8 or image.shape != (len(trajectory), *size, 3):
                got = "none" if image is None else f"{image.dtype} {image.shape}"
                raise BadData(trajectory.source, f"image {camera}", f"uint8 ({len(trajectory)}, {size}, 3)", got)


def worth_imitating(trajectory: Trajectory) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return what to imitate in each row, (R, A), and where there is something, (R,): hindsight first."""
    if trajectory.expert is None:
        return trajectory.action, np.full(len(trajectory), trajectory.imitate)
    is_known = np.asarray(np.isfinite(trajectory.expert).all(axis=1), bool)
    expert = np.where(is_known[:, None], trajectory.expert, trajectory.action).astype(np.float32)
    return expert, is_known | np.full(len(trajectory), trajectory.imitate)


def mixed(offline: Replay, online: Replay, share: float, rng: np.random.Generator, count: int) -> Batch:
    """Return ``count`` transitions, the rounded ``share`` of them offline; an empty side is left out.

    Raises:
        ValueError: when both are empty.
    """
    old = round(share * count) if len(offline) and len(online) else count if len(offline) else 0
    parts = [side.sample(rng, n) for side, n in ((offline, old), (online, count - old)) if n]
    return parts[0] if len(parts) == 1 else _joined(parts[0], parts[1])


def _joined(a: Batch, b: Batch) -> Batch:
    return Batch(
        _both(a.seen, b.seen),
        torch.cat([a.action, b.action]),
        torch.cat([a.reward, b.reward]),
        torch.cat([a.bootstrap, b.bootstrap]),
        _both(a.next_seen, b.next_seen),
        torch.cat([a.mc_return, b.mc_return]),
        torch.cat([a.imitate, b.imitate]),
        torch.cat([a.expert, b.expert]),
    )


def _both(a: Seen, b: Seen) -> Seen:
    def optional(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
        return None if one is None or other is None else torch.cat([one, other])

    vector, sentence = torch.cat([a.vector, b.vector]), torch.cat([a.sentence, b.sentence])
    return Seen(vector, sentence, optional(a.image, b.image), optional(a.shift, b.shift))


def share_now(params: AgentParams, online_updates: int) -> float:
    """Return the offline share of a batch after so many updates in practice: linear, then constant."""
    done = min(online_updates / params.share_updates, 1.0)
    return params.offline_share + done * (params.offline_share_end - params.offline_share)
