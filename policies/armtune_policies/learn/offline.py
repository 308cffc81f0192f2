"""Folders of episodes as an agent's offline data, and the agent that fits them.

Rewards come from labels: where a judge spoke while the arm moved, its vote; a demonstration that
nobody judged counts as done where its last frames begin, the ones that show success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from armtune_policies.contract import DIRECTIONS, STATE_NAMES, ActionSpec, Checked, Direction, digest, num, text
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import LabelSet, check_labels, chosen_labels

from .agent import Agent, Layout
from .augment import random_light, random_shift
from .crew import ALONE, Alone
from .distributed import make_agent as agent_of
from .distributed import make_replay
from .encoded import once
from .episodes import as_trajectory
from .frozen import FrozenEncoder
from .networks import seed_everything
from .pixels import NONE, Frame
from .replay import Replay, RowShape
from .settings import AgentParams, named_by
from .sources import Source, sources
from .trajectory import BadData, Trajectory, grasps

Floats = npt.NDArray[np.float32]
FREE = {
    "utd", "offline_share", "offline_share_end", "share_updates", "warmup_steps", "penalty_online", "failures",
    "resets_optimiser", "compiled",
}  # fmt: skip
"""Settings that change nothing of offline training: practice may have others."""
GROUPS = (*DIRECTIONS, "failure", "prior")
"""Sets of offline data: successes in each direction of the pair practised, its failures, other tasks' episodes."""


@dataclass(frozen=True, kw_only=True)
class OfflineParams(Checked):
    """A run of offline training."""

    updates: int = num(10_000, low=1, high=100_000_000, doc="updates of the whole training")
    checkpoint_every: int = num(100, low=1, high=100_000_000, doc="updates between two checkpoints")
    copies: int = num(4, low=0, high=32, doc="shaken copies of each episode's images beside the images as they were")
    shift_px: int = num(0, low=0, high=16, doc="longest random shift of a copy: it says things stand elsewhere")
    light: float = num(0.2, low=0.0, high=1.0, doc="strength of random brightness and colour of a copy")
    labels: str = text("", doc="label set of the rewards; blank: the live vote, else the end of a demonstration")
    weight_forward: float = num(1.0, low=0.0, high=1e3, doc="how often a step of a forward success is drawn; 0: never")
    weight_backward: float = num(1.0, low=0.0, high=1e3, doc="the same of a backward success")
    weight_failure: float = num(1.0, low=0.0, high=1e3, doc="the same of a failure of the pair practised")
    weight_prior: float = num(1.0, low=0.0, high=1e3, doc="the same of other tasks' episodes")
    memory_mb: float = num(8000.0, low=1e-3, high=1e8, doc="most memory of what is learnt from, in each process")

    @property
    def weights(self) -> dict[str, float]:
        """By set."""
        each = (self.weight_forward, self.weight_backward, self.weight_failure, self.weight_prior)
        return dict(zip(GROUPS, each))


@dataclass(frozen=True)
class Offline:
    """What the agent learns from before it acts. Of several processes each has its part of the trajectories."""

    trajectories: tuple[Trajectory, ...]
    """Of each episode one as it was and one for each shaken copy."""
    sentences: tuple[str, ...]
    """As the trajectories number them: forward, backward, then those of other tasks."""
    feature_size: int
    digest: str
    """Names the files, the encoder, the sentences and the copies."""
    episodes: int
    successes: int

    def without_images(self) -> Offline:
        """Return it less the pictures, once a replay has them."""
        rows = (replace(one, images={}) if one.images else one for one in self.trajectories)
        return replace(self, trajectories=tuple(rows))

    @property
    def grasps(self) -> dict[Direction, list[npt.NDArray[np.floating]]]:
        """Where successes of the pair took hold."""
        return grasps(self.trajectories)


def gather(
    folders: Sequence[Path],
    pair: tuple[str, str],
    action: ActionSpec,
    encoder: FrozenEncoder,
    params: OfflineParams,
    seed: int = 0,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
    crew: Alone = ALONE,
    kept: Path | None = None,
) -> Offline:
    """Read every episode of some run folders, LeRobot folders or selections.

    Shaken copies of its images show how features vary: readouts of unseen scenes err less by them.

    Args:
        folders: The first of the pair practised, the others prior data; see ``sources``.
        pair: The sentences practised, forward and backward.
        action: What the episodes' actions mean.
        encoder: Whose features the agent sees; where it has none, trajectories keep their images.
        params: How many copies, and how shaken.
        seed: Of the shaking.
        on_episode: Told how many are read, of how many.
        crew: Who else reads: each process reads its part.
        kept: Folder in which features are kept, so that they are made once; None: made each time.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ValueError: when a folder has no episodes.
    """
    found = [(one, is_prior) for is_prior, folder in enumerate(folders)
             for one in sources(folder, action, encoder.observation)]  # fmt: skip
    if params.labels:
        check_labels(folders[0], params.labels)
    crew.agree([one.name for one, _ in found], "list of episodes")
    read, mine, held = [], crew.own(len(found)), 0
    for done, (source, is_prior) in enumerate([found[index] for index in mine], mine.start + 1):
        episode = source.read()
        seen = _seen(source, episode, encoder, params, [seed, done], kept)
        plain = replace(episode, images=encoder.kept(episode.images))
        read.append((plain, seen, _labels(episode, source, params), bool(is_prior)))
        held += sum(part.nbytes for part in (*seen, *plain.images.values()))
        _fits_memory(held, params.memory_mb, f"{done - mine.start} of {len(mine)} episodes")
        on_episode(done - mine.start, len(mine))
    said = crew.pooled(sorted({one.sentence for one, *_ in read}))
    sentences = (*pair, *sorted(set(said) - set(pair)))
    made = [
        _grouped(as_trajectory(one, action, sentences, encoder.digest, features, labels), params, is_prior)
        for one, seen, labels, is_prior in read
        for features in seen
    ]
    names = crew.pooled([[found[index][0].name, found[index][0].digest()] for index in mine])
    judged = crew.pooled([[one.success_step, *map(int, one.verdicts)] for _, _, one, _ in read])
    named = _digest(names, sentences, encoder, params, seed, judged)
    won = sum(crew.pooled([one.success_step is not None for _, _, one, _ in read]))
    return Offline(tuple(made), sentences, encoder.feature_size, named, len(found), won)


def make_agent(
    data: Offline, params: AgentParams, embeddings: Mapping[str, Floats], seed: int, crew: Alone = ALONE
) -> tuple[Agent, Replay]:
    """Return a fresh agent for the data, inputs standardised to it, and the data as its replay.

    Without ``embeddings`` no sentence is seen: the data must say the direction itself.
    """
    seed_everything(seed)
    rows = sum(len(one) for one in data.trajectories)
    cameras = data.trajectories[0].images if params.pixels != NONE else {}
    images = {camera: frames.shape[1:3] for camera, frames in cameras.items()}
    shape = RowShape(len(STATE_NAMES), len(ActionSpec().names), data.feature_size, images=images)
    replay = make_replay(rows, shape, params, crew)
    for one in data.trajectories:
        replay.add(one)
    said = [embeddings[sentence] for sentence in data.sentences] if embeddings else []
    table = torch.from_numpy(np.stack(said).astype(np.float32)) if said else None
    gripper = ActionSpec().names.index("gripper")
    layout = Layout(replay.shape.vector, replay.shape.action, table, Frame.of(images), (gripper,))
    agent = agent_of(layout, params, seed, crew)
    agent.set_scale(*replay.spread())
    return agent, replay


def training_digest(data: Offline, params: AgentParams, seed: int) -> str:
    """Name an offline training: data, seed, and the settings it reads."""
    return digest([data.digest, {k: v for k, v in named_by(params).items() if k not in FREE}, seed])


def _fits_memory(held: int, memory_mb: float, read: str) -> None:
    """Refuse more than is allowed; all that is read is held once more while the replay fills."""
    if 2 * held > memory_mb * 1_000_000:
        got = f"{2 * held / 1e6:,g} MB with {read}"
        raise BadData("what is learnt from", "memory", f"at most {memory_mb:,g} MB (offline.memory_mb, or fewer "
                      "offline.copies, or more processes by torchrun)", got)  # fmt: skip


def _labels(episode: Episode, source: Source, params: OfflineParams) -> LabelSet:
    return chosen_labels(source.folder, episode, params.labels)


def _grouped(one: Trajectory, params: OfflineParams, is_prior: bool) -> Trajectory:
    """Return a trajectory with the set it belongs to and its weight."""
    group = "failure" if not one.imitate else GROUPS[one.sentence] if one.sentence < len(DIRECTIONS) else "prior"
    group = "prior" if is_prior or one.sentence >= len(DIRECTIONS) else group
    return replace(one, group=group, weight=params.weights[group])


def _digest(
    names: list[Any], sentences: Sequence[str], encoder: FrozenEncoder, params: OfflineParams, seed: int, judged: Any
) -> str:
    """Name offline data; what is left as it is by default is not in the name."""
    shaking = [*_shaking(params), seed]
    more = [params.weights] if set(params.weights.values()) != {1.0} else []
    return digest([names, list(sentences), encoder.digest, shaking, *more, *([judged] if params.labels else [])])


def _shaking(params: OfflineParams) -> list[float]:
    return [params.copies, params.shift_px, params.light]


def _seen(
    source: Source, episode: Episode, encoder: FrozenEncoder, params: OfflineParams, seed: list[int], kept: Path | None
) -> list[Floats]:
    """Return features as ``_features`` makes them, read where they are kept."""
    make = partial(_features, episode, encoder, params, seed)
    if kept is None or not encoder.feature_size:
        return make()
    shaken = seed if params.copies else []
    named = digest([source.name, source.digest(), encoder.digest, *_shaking(params), *shaken])
    return once(kept / f"{named}.safetensors", make)


def _features(episode: Episode, encoder: FrozenEncoder, params: OfflineParams, seed: Sequence[int]) -> list[Floats]:
    """Return features (T, F) of an episode's images, then those of each shaken copy."""
    rng, seen = np.random.default_rng(seed), encoder.observation
    size = (seen.height_px, seen.width_px, 3)
    for camera in seen.cameras:
        got = episode.images[camera].shape[1:] if camera in episode.images else None
        if got != size:
            raise BadData(str(episode.path), f"image {camera}", f"{size}", got or "none")
    found = [encoder.features(episode.images)]
    for _ in range(params.copies if encoder.feature_size else 0):
        shaken = {
            camera: random_light(random_shift(episode.images[camera], params.shift_px, rng), params.light, rng)
            for camera in seen.cameras
        }
        found.append(encoder.features(shaken))
    return found
