"""Practice in one process: forward and backward in turn, an update owed for every step.

Which direction comes next, and when the arm nudges or a person helps, says ``episode.course``. Before it
acts, an episode looks whether it is solved already; a solved start is passed over, not paid for.
One in which nothing moves any more has failed. After ``nudge`` failures the arm itself pushes what it
failed at before it tries again, for as it is it tends to fail again. A person lays the scene anew only
once it is stuck, or every ``reset_every_episodes``. All are counted; settings are those of ``EpisodeParams``.
Updates run between episodes, exactly ``utd`` per step learnt from, so a run does not depend on the machine.
The agent's first two sentences are those of forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from armtune_policies.contract import DIRECTIONS, Checked, Direction, choice, num, text
from armtune_policies.episode.course import Counts as Counts
from armtune_policies.episode.course import Course, Move, Rules
from armtune_policies.episode.memory import is_still
from armtune_policies.runtime.aim import Aim, shifted
from armtune_policies.store.labels import STEP_REWARD, SUCCESS_REWARD

from .actor_critic import Seen
from .agent import Agent
from .interrupt import held
from .online import pay, teaches
from .pixels import in_channels
from .replay import Replay
from .saved import load_training, load_trajectory, save_training, save_trajectory
from .trajectory import Trajectory
from .tutor import Tutor

EPISODES = "episodes"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moment:
    """What the arm sees, and what its judge says of it."""

    features: Floats
    """(F,)."""
    state: Floats
    """(S,)."""
    is_success: bool | None
    """Of the direction under way, by true or learned reward; None where the judge does not know."""
    images: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    """By camera, in the replay's order: (H, W, 3). Of an agent that learns from pixels; else none."""


class Arena(Protocol):
    """An arm and its objects. What a step does to the action (a gate's limits) is told back."""

    @property
    def lifts(self) -> int:
        """How often a person had to lift the arm home so far."""

    @property
    def stands_m(self) -> tuple[float, ...]:
        """Where the thing stood when the episode began: x, y [m]; nothing where the arm does not know."""

    def reset(self, seed: int) -> None:
        """Make a fresh scene: what a person would do."""

    def nudge(self, seed: int, move: Move) -> bool:
        """Bring elsewhere what the last episode failed at or put down, if the arm knows how; return whether it does."""

    def begin(self, direction: Direction) -> Moment:
        """Bring the arm home, objects as they are, and start an episode."""

    def step(self, action: Floats) -> tuple[Moment, Floats]:
        """Act, (A,) in -1..1; return what is seen then and the action that was really made."""


@dataclass(frozen=True, kw_only=True)
class PracticeParams(Checked):
    """A run of practice."""

    steps: int = num(10_000, low=1, high=100_000_000, doc="control steps of the run")
    episode_steps: int = num(40, low=1, high=10_000, doc="control steps after which an episode has failed")
    max_failures: int = num(5, low=1, high=1000, doc="failures in one direction before the other is tried all the same")
    nudge: int = num(1, low=0, high=1000, doc="failures without a success after which it nudges first; 0: never")
    stuck: int = num(12, low=0, high=1000, doc="failures without a success, both directions together, that mean stuck")
    recoveries: int = num(3, low=0, high=100, doc="tries after recovery moves, once stuck, before a person helps")
    scatter: str = choice("", of=("", *DIRECTIONS), doc="direction before which a success is pushed about")
    carries: bool = text(False, doc="whether it is a loose thing: the arm knows where it put it, and failures teach")
    reset_every_episodes: int = num(0, low=0, high=100_000, doc="episodes between two fresh scenes; 0: never")
    spread: float = num(0.0, low=0.0, high=10.0, doc="exploration, in the policy's own deviations; 0 acts by the mean")
    aim_m: float = num(
        0.0,
        low=0.0,
        high=0.02,
        doc="how far off a try takes its tool to be, per failure since the last success [m]; 0: never",
    )
    aim_most_m: float = num(0.02, low=0.0, high=0.05, doc="the most of it [m], each a standard deviation along an axis")
    still_steps: int = num(5, low=1, high=1000, doc="steps without motion after which an episode has failed")
    still: float = num(
        0.01, low=0.0, high=1.0, doc="change of a number of the state that is motion [m, rad, 1]; 0: never fails one"
    )
    seed: int = num(0, low=0, high=2**31 - 1, doc="of scenes, batches and exploration")
    checkpoint_every: int = num(10, low=1, high=100_000, doc="episodes between two checkpoints")

    @property
    def rules(self) -> Rules:
        """What is done about failures."""
        helps = self.nudge, self.stuck, self.recoveries, self.reset_every_episodes
        return Rules(self.max_failures, *helps, self.scatter, self.carries)

    @property
    def named(self) -> dict[str, Any]:
        """What names a practice: all settings, but ``carries`` only where it does, for older practice has none."""
        return {name: value for name, value in asdict(self).items() if name != "carries" or value}

    @property
    def rows(self) -> int:
        """Rows of replay that a run can fill: an episode that failed, at the earliest by a stall, keeps one more than
        its steps, and the last one may run over."""
        return self.steps + self.episode_steps + self.steps // min(self.episode_steps, self.still_steps) + 1


OnEpisode = Callable[[Counts, bool], None]


def silent(counts: Counts, is_success: bool) -> None:
    """Report to nobody."""


class Practice:
    """The loop. The agent is as pre-training left it; the same folder goes on where it stopped.

    A scene cannot be kept: going on starts in a fresh one, counted as a reset. With a ``tutor`` failures are labelled
    with what they should have done, where that is known afterwards: of a loose thing (``params.carries``).

    Raises:
        ValueError: when the folder's checkpoint is of other data or settings.
    """

    def __init__(
        self,
        agent: Agent,
        offline: Replay,
        online: Replay,
        arena: Arena,
        params: PracticeParams | None = None,
        folder: Path | None = None,
        digest: str = "",
        tutor: Tutor | None = None,
    ) -> None:
        self.agent, self.offline, self.online, self.arena = agent, offline, online, arena
        self.params, self.folder, self.digest = params or PracticeParams(), folder, digest
        self._tutor = tutor if self.params.carries else None
        self.course = Course(self.params.rules)
        self._learnt = 0
        self._aim = Aim(self.params.aim_m, self.params.aim_most_m, self.params.seed)
        self.losses: dict[str, torch.Tensor] = {}
        """Of the last update."""
        found = load_training(folder, digest) if folder is not None else None
        if found is None:
            agent.go_online()
        elif folder is not None:
            self._resume(folder, *found)

    def run(self, on_episode: OnEpisode = silent) -> Counts:
        """Practise until all steps are made and all updates owed for them paid.

        Ctrl-C leaves a checkpoint after the episode under way.
        """
        if self.counts.steps < self.params.steps:
            self._fresh_scene()
        with held() as is_asked:
            while self.counts.steps < self.params.steps:
                is_success = self.episode()
                self.pay()
                on_episode(self.counts, is_success)
                if self.counts.episodes % self.params.checkpoint_every == 0 or is_asked():
                    self.save()
                if is_asked():
                    raise KeyboardInterrupt
        self.save()
        return self.counts

    def episode(self) -> bool:
        """Run one episode and store it; return whether it succeeded."""
        counts, lifts = self.counts, self.arena.lifts
        self._prepare()
        moment = self.arena.begin(counts.direction)
        if moment.is_success:
            self.course.solved()
            moment = self.arena.begin(counts.direction)
            if moment.is_success:  # a judge that says yes to both has nothing to teach
                self._fresh_scene("reset")
                moment = self.arena.begin(counts.direction)
                if moment.is_success:  # a fresh scene is as forward finds it: backward's goal stands
                    self.course.solved()
                    moment = self.arena.begin(counts.direction)
        counts.lifts += self.arena.lifts - lifts
        direction = counts.direction
        moments, actions = self._act(moment, direction)
        is_success = bool(moments[-1].is_success)
        is_known = any(m.is_success is not None for m in moments[1:]) and not moment.is_success
        if is_known and teaches(is_success, counts.since_success, self.agent.params.failures):
            name = f"episode {counts.episodes} of practice"
            one = as_trajectory(moments, actions, DIRECTIONS.index(direction), name)
            self._store(one if self._tutor is None else self._tutor.taught(one, self.arena.stands_m))
        self.course.ended(is_success)
        return is_success

    @property
    def counts(self) -> Counts:
        """Where practice stands."""
        return self.course.counts

    def pay(self) -> None:
        """Make the updates owed: ``utd`` per step learnt from after the warm-up, on what there is by now."""
        p = self.agent.params
        owed = p.utd * max(self._learnt - p.warmup_steps, 0)
        if len(self.online) or len(self.offline):
            replays = self.offline, self.online
            self.losses = pay(self.agent, replays, self.params.seed, self.counts.updates, owed) or self.losses
            self.counts.updates = max(owed, self.counts.updates)

    def save(self) -> None:
        """Write a checkpoint, where there is a folder."""
        if self.folder is not None:
            save_training(
                self.folder, self.agent.state(), self.digest, self.counts.episodes, counts=asdict(self.counts)
            )

    def _act(self, moment: Moment, direction: Direction) -> tuple[list[Moment], list[Floats]]:
        moments: list[Moment] = [moment]
        actions: list[Floats] = []
        sentence, aim = DIRECTIONS.index(direction), self._aim.off_m(self.counts.episodes, self.counts.since_success)
        while len(actions) < self.params.episode_steps and not (actions and moment.is_success):
            if stalls(moments, self.params.still_steps, self.params.still):
                self.counts.stalls += 1
                break
            moment, made = self.arena.step(acted(self.agent, moment, sentence, self.params.spread, aim))
            moments.append(moment)
            actions.append(made)
        self.counts.steps += len(actions)
        return moments, actions

    def _prepare(self) -> None:
        """Do what the scene needs before the next try."""
        move = self.course.move()
        if move in ("ask", "reset"):
            self._fresh_scene(move)
        elif move != "try":
            seed = int(np.random.default_rng([self.params.seed, 3, self.course.pushes + 1]).integers(2**31))
            if self.arena.nudge(seed, move):
                self.course.moved(move)

    def _fresh_scene(self, move: Move = "reset") -> None:
        self.course.helped(move)
        self.arena.reset(int(np.random.default_rng([self.params.seed, 2, self.counts.resets]).integers(2**31)))

    def _store(self, trajectory: Trajectory) -> None:
        self._remember(trajectory)
        if self.folder is not None:
            save_trajectory(self.folder / EPISODES / f"{self.counts.episodes:06d}.safetensors", trajectory)

    def _remember(self, trajectory: Trajectory) -> None:
        self.online.add(trajectory)
        self._learnt += int(trajectory.is_step.sum())

    def _resume(self, folder: Path, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
        """Take up agent, counts and the episodes there were then; later ones go, they are made again."""
        self.agent.restore(tensors)
        self.course.counts = Counts(**about["counts"])
        for path in sorted((folder / EPISODES).glob("*.safetensors")):
            if int(path.stem) < self.counts.episodes:
                self._remember(load_trajectory(path))
            else:
                path.unlink()


def acted(agent: Agent, moment: Moment, sentence: int, spread: float = 0.0, aim: Floats | None = None) -> Floats:
    """Return the action (A,) in -1..1 at a moment: the mean, or shaken by ``spread`` of the policy's deviations.

    ``aim`` [m] (3,) is how far off it takes the tool to be; see ``Aim``.
    """
    state = moment.state if aim is None else shifted(moment.state, aim)
    vector = torch.from_numpy(np.concatenate([moment.features, state])[None])
    image = in_channels([frame[None] for frame in moment.images.values()])
    return agent.act(Seen(vector, torch.tensor([sentence]), image), spread)[0].numpy()


def stalls(moments: list[Moment], steps: int, least: float) -> bool:
    """Return whether nothing moved in the last ``steps`` steps; see ``is_still``."""
    return len(moments) > steps and is_still(np.stack([moment.state for moment in moments[-steps - 1 :]]), least)


def as_trajectory(moments: list[Moment], actions: list[Floats], sentence: int, source: str) -> Trajectory:
    """Return an episode as rows: T + 1 moments and the T actions made between them.

    The reward of a step is of what was seen after it. A success needs no last observation; a time
    limit keeps it, to bootstrap from. A step whose judge did not know is no step.
    """
    is_success = bool(moments[-1].is_success)
    rows = len(actions) + (not is_success)
    known = np.zeros(rows, bool)
    known[: len(actions)] = [m.is_success is not None for m in moments[1:]]
    reward = np.where(known, STEP_REWARD, 0.0).astype(np.float32)
    terminated = np.zeros(rows, bool)
    if is_success:
        reward[-1], terminated[-1] = SUCCESS_REWARD, True
    made = np.zeros((rows, len(actions[0])), np.float32)
    made[: len(actions)] = np.clip(actions, -1.0, 1.0)
    made[~known] = 0.0
    return Trajectory(
        source=source,
        features=np.stack([m.features for m in moments[:rows]]).astype(np.float32),
        state=np.stack([m.state for m in moments[:rows]]).astype(np.float32),
        action=made,
        reward=reward,
        terminated=terminated,
        follows=np.arange(rows) < rows - 1,
        is_step=known,
        sentence=sentence,
        imitate=is_success,
        images={camera: np.stack([m.images[camera] for m in moments[:rows]]) for camera in moments[0].images},
    )
