"""The learner's recipe ``online``: an agent goes on learning from where its offline training ended, episode by episode.

For each control step whose action and reward are known it owes ``utd`` updates, half of each batch old data, and pays
them on the episodes there are by then, in the order in which they ended. Each update draws from (seed, update), so a
learner killed at any time pays the same again, and none twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from armtune_policies.contract import AS_TRAINED, ActionSpec, ConfigError, ObservationSpec, contract_digest, digest
from armtune_policies.episode.guard import Guard, Reference
from armtune_policies.runtime.policy import named_sentences
from armtune_policies.store.edits import read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import Manifest, load_model, training_folder
from armtune_policies.store.nouns import SOLVED

from .actor_export import HeadExporter
from .agent import Agent
from .episodes import as_trajectory
from .export import About
from .frozen import FrozenEncoder
from .kept import kept_data
from .offline import gather, make_agent
from .pixels import NONE
from .replay import Replay, mixed, share_now
from .saved import load_training, save_training
from .scaling import ActionScale
from .settings import named_by
from .trained import restore, trained
from .trajectory import Trajectory
from .tutor import Tutor


@dataclass
class Paid:
    """What was learnt of a run; plain numbers, kept in the checkpoint."""

    episodes: list[str] = field(default_factory=list)
    """In order; those with nothing to learn from are among them."""
    steps: int = 0
    updates: int = 0


def in_order(paid: Sequence[str], paths: Sequence[Path]) -> list[Path]:
    """Return a run's files as they were paid for, then those that were not, as they come."""
    known = {path.stem: path for path in paths}
    done = [known.pop(name) for name in paid if name in known]
    return [*done, *known.values()]


def pay(
    agent: Agent,
    replays: tuple[Replay, Replay],
    seed: int,
    done: int,
    owed: int,
    on_update: Callable[[int], None] = lambda done: None,
) -> dict[str, Tensor]:
    """Make practice's updates ``done`` to ``owed`` on the offline and the online replay; return the last's losses."""
    losses: dict[str, Tensor] = {}
    offline, online = replays
    for update in range(done, owed if len(online) or len(offline) else done):
        rng = np.random.default_rng([seed, 1, update])
        share = share_now(agent.params, update)
        losses = agent.update(mixed(offline, online, share, rng, agent.params.batch))
        on_update(update + 1)
    return losses


def teaches(is_worth: bool, failed_before: int, failures: int) -> bool:
    """Return whether an episode is learnt from: not a failure where practice is stuck.

    Failure after failure in one scene would fill what is learnt from, until the policy no longer tries: it has learnt
    that nothing it can do there is worth doing.

    Args:
        is_worth: Whether it succeeded, or a person showed something in it.
        failed_before: Tries that failed since the last success or fresh scene, in both directions together.
        failures: How many of those are learnt from; 0 for all.
    """
    return is_worth or not failures or failed_before < failures


class OnlineLearner:
    """A policy folder's agent, its offline data, and the practice of one run.

    Args:
        policy_folder: As ``armtune pretrain`` wrote it, the training's checkpoint beside it.
        data: Run folders it was trained on, demonstrations first; none: what is kept beside its training.
        action: Of the contract.
        observation: Of the contract.
        folder: Where checkpoints go; one that is there is gone on from.
        utd: Updates owed per step; ``AS_TRAINED`` for the agent's own setting.
        failures: How many since the last success are learnt from, see ``teaches``; ``AS_TRAINED`` likewise.
        rows: Steps of practice kept; the oldest go first.
        seed: Of batches.
        on_read: Told how many episodes of the offline data are read, of how many.
        device: Where it learns, as in ``AgentParams``.
        carries: Whether the task is of a loose thing: its failures are labelled by hindsight (``learn.tutor``).

    Raises:
        ValueError: when policy, data or a checkpoint will not do.
    """

    def __init__(
        self,
        policy_folder: Path,
        data: Sequence[Path],
        action: ActionSpec,
        observation: ObservationSpec,
        folder: Path,
        utd: int,
        failures: int,
        rows: int,
        seed: int,
        on_read: Callable[[int, int], None] = lambda done, total: None,
        device: str = "cpu",
        carries: bool = False,
    ) -> None:
        files = load_model(policy_folder, contract_digest(action, observation), kinds=("policy",))
        manifest = files.manifest
        told = {name: value for name, value in (("utd", utd), ("failures", failures)) if value != AS_TRAINED}
        was = trained(manifest, policy_folder, {**told, "device": device}, {})
        if was.agent.pixels != NONE:
            raise ConfigError(f"policy.folder: {policy_folder} learns from pixels; online it learns on an encoder only")
        encoder = FrozenEncoder(policy_folder, action, observation)
        if data:
            pair = (manifest.sentences[0], manifest.sentences[1])
            found = gather(data, pair, action, encoder, was.offline, was.seed, on_read)
        else:
            found = kept_data(training_folder(policy_folder), str(manifest.provenance.get("data")))
        self._embeddings = {name: named_sentences(files, policy_folder)[name] for name in found.sentences}
        self.agent, self._offline = make_agent(found, was.agent, self._embeddings, was.seed)
        self._tutor = Tutor(found.trajectories, ActionScale(action)) if carries else None
        named = restore(self.agent, found, policy_folder, was.seed)
        self._online = Replay(rows, self._offline.shape, was.agent)
        self._action, self._observation, self._sentences = action, observation, found.sentences
        self._encoder, self._parent = encoder, manifest.version
        self._folder, self._seed, self._digest = folder, seed, digest([named, named_by(was.agent), rows, seed])
        seen = self._offline.seen_by(self._offline.usable)
        self._exporter = HeadExporter(self.agent, encoder.digest, seen[:, : self._offline.shape.features])
        self.stuck_since = 0
        """Failures since the last success, where the newest episode was one of too many; else 0."""
        self.paid = Paid()
        self.guard = Guard(Reference(manifest.version, str(Path(policy_folder).resolve())))
        if (kept := load_training(folder, self._digest)) is None:
            self.agent.go_online()
        else:
            self.agent.restore(kept[0])
            self.paid, guard = Paid(**kept[1]["paid"]), kept[1]["guard"]
            self.guard = Guard(**{**guard, "reference": Reference(**guard["reference"])})

    def owed(self) -> int:
        """Updates of practice due by now; none for the steps of the warm-up."""
        p = self.agent.params
        return p.utd * max(self.paid.steps - p.warmup_steps, 0)

    def remember(self, episode: Episode) -> int:
        """Take an episode into the replay; return its steps, 0 where there is nothing to learn.

        Raises:
            BadData: when it does not fit the agent.
        """
        if episode.about.mark == SOLVED or not len(episode.state):
            return 0
        is_seen = episode.encoder_digest == self._encoder.digest  # else by another encoder, or by none
        features = None if is_seen else self._encoder.features(episode.images)
        one: Trajectory = as_trajectory(episode, self._action, self._sentences, self._encoder.digest, features)
        is_worth, failed = one.imitate or bool(episode.intervention.any()), episode.about.since_success
        does_teach = teaches(is_worth, failed, self.agent.params.failures)
        self.stuck_since = 0 if does_teach else failed + 1
        if not does_teach:
            return 0
        taught = one if self._tutor is None else self._tutor.taught(one, episode.about.stands_m)
        self._online.add(replace(taught, images={}))
        return int(one.is_step.sum())

    def read(
        self, path: Path, on_skip: Callable[[str], object], on_read: Callable[[Episode], object] = lambda episode: None
    ) -> int:
        """Read an episode's file into the replay; return its steps, 0 where it is skipped, which is told with a reason.

        Args:
            path: Of the file.
            on_skip: Told why it cannot be read or learnt from.
            on_read: Given the episode; what it refuses by ValueError is skipped, too.
        """
        try:
            episode = read_kept(path)
            steps = self.remember(episode)
            on_read(episode)
        except (OSError, ValueError) as why:
            on_skip(str(why))
            return 0
        return steps

    def pay(self, episode_id: str, steps: int, on_update: Callable[[int, int], None] = lambda done, of: None) -> int:
        """Pay for an episode just remembered, and keep a checkpoint; return how many updates were made."""
        self.paid.steps += steps
        before, owed = self.paid.updates, self.owed()
        replays = self._offline, self._online
        pay(self.agent, replays, self._seed, before, owed, lambda done: on_update(done - before, owed - before))
        self.paid.updates = max(owed, before)
        self.paid.episodes.append(episode_id)
        about = {"paid": asdict(self.paid), "guard": asdict(self.guard)}
        save_training(self._folder, self.agent.state(), self._digest, len(self.paid.episodes), **about)
        return self.paid.updates - before

    def offer(self, folder: Path, provenance: dict[str, Any]) -> Manifest:
        """Write the actor of now as a head.

        Raises:
            ModelError: when ONNX and torch disagree.
        """
        about = About(
            name=folder.name,
            action=self._action,
            observation=self._observation,
            embeddings=self._embeddings,
            provenance={**provenance, "parent": self._parent, "agent_updates": self.agent.updates},
            metrics={"updates": float(self.paid.updates), "episodes": float(len(self.paid.episodes))},
        )
        return self._exporter.write(folder, about)
