"""The cells of one seed: cloning, offline learning, its control with as many more updates, practice.

Each cell is a JSON file named by the digest of all that it depends on; one that is there is not made again, and one
that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_bringup.agents import Learning, OnStep, made
from armtune_bringup.arena import SimArena
from armtune_bringup.stages import EVALUATION_SEED
from armtune_policies.contract import DIRECTIONS, ConfigError, digest
from armtune_policies.learn.settings import named_by
from armtune_policies.store.files import read_json, write_json
from armtune_sim.settings import ANY_TABLE

from .sights import Images, Sight, Truth, named_demos

if TYPE_CHECKING:
    from armtune_policies.learn.agent import Agent
    from armtune_policies.learn.finetune import Counts
    from armtune_policies.learn.offline import Offline
    from armtune_policies.learn.replay import Replay
    from armtune_policies.learn.settings import AgentParams

CELLS = ("bc", "offline", "control", "online")
SIGHTS = ("images", "truth")
Measured = Mapping[str, list[int]]
"""By direction: successes, episodes."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    episodes: int = 50
    """Held-out scenes per direction that end a cell."""
    points: int = 4
    """Measurements while practice goes on, the last included."""
    point_episodes: int = 20
    """Held-out scenes per direction of those before the last."""


class SeedStudy:
    """One seed of one task, seen one way. Torch is loaded when it is made.

    Raises:
        ConfigError: for ``prior`` where the truth is seen.
    """

    def __init__(
        self, learning: Learning, folder: Path, sees: str, sizes: Sizes, prior: Path | None, on_step: OnStep
    ) -> None:
        from armtune_policies.learn.finetune import PracticeParams
        from armtune_policies.learn.offline import OfflineParams
        from armtune_policies.learn.settings import recipe_params

        config = learning.config
        if sees == "truth" and prior is not None:
            raise ConfigError(f"--prior: expected none with --sees truth, which episodes do not hold; got {prior}; "
                              "leave it away, or take --sees images")  # fmt: skip
        self.config, self.sizes, self.on_step = config, sizes, on_step
        self.seed = config.experiment.seed
        home = folder / config.task.name / f"seed-{self.seed}"
        self.folder = home / (sees if prior is None else f"{sees}-prior")
        demos = home / f"demos-{named_demos(config)[:12]}"
        self.sight: Sight = Truth(config) if sees == "truth" else Images(config, demos, prior)
        self.params = recipe_params(learning.recipe or "calql", **learning.agent)
        self.offline = OfflineParams.from_mapping({**learning.offline, **({"copies": 0} if sees == "truth" else {})})
        theirs = {**config.task.practised, "seed": self.seed}
        self.practice = PracticeParams.from_mapping({**theirs, **learning.practice})

    def cell(self, name: str) -> dict[str, Any]:
        """Return a cell, made now unless its file is there.

        Raises:
            ConfigError: when ``agent.device`` is a GPU that is not there, before anything is demonstrated.
        """
        from armtune_policies.learn.crew import device_of

        device_of(self.params.device)
        named = f"{name}-{self.named(name)[:12]}"
        path = self.folder / f"{named}.json"
        if path.is_file():
            return read_json(path)
        began = time.process_time()
        found = {"cell": name, "seed": self.seed, **self._runs()[name](self.folder / named)}
        write_json(path, {**found, "cpu_s": round(time.process_time() - began, 1)})
        return read_json(path)

    def named(self, name: str) -> str:
        """Return what names a cell: its data and settings, how it is measured, and the world that is practised in."""
        c = self.config
        world = [*(asdict(part) for part in (c.robot, c.safety, c.sim)), c.task.as_shown, c.policy.grip_steps]
        return digest([self.data.digest, self._reads(name), self.seed, asdict(self.sizes), world])

    @cached_property
    def data(self) -> Offline:
        """The seed's demonstrations and failures, read once."""
        return self.sight.data(self.offline, self.on_step)

    @property
    def control_updates(self) -> int:
        """Updates of the whole life of an agent that learns from every step of practice, but for its last episode."""
        return self.offline.updates + self.params.utd * max(self.practice.steps - self.params.warmup_steps, 0)

    def _runs(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        """Return what makes each cell."""
        return {"bc": self._bc, "offline": self._offline, "control": self._control, "online": self._online}

    def _reads(self, name: str) -> list[Any]:
        """Return the settings that a cell depends on."""
        read: dict[str, list[Any]] = {
            "bc": [named_by(self._bc_params), self.offline.updates],
            "offline": [self._named],
            "control": [self._named, self.control_updates],
            "online": [named_by(self.params), self.offline.updates, self.practice.named],
        }
        return read[name]

    @property
    def _bc_params(self) -> AgentParams:
        from armtune_policies.learn.settings import recipe_params

        p = self.params
        alike = {name: getattr(p, name) for name in ("hidden", "batch", "projection", "bf16", "device")}
        return recipe_params("bc", **alike)

    def _bc(self, folder: Path) -> dict[str, Any]:
        agent, _ = self._trained(self._bc_params, self.offline.updates, folder, "cloning")
        return {"updates": agent.updates, "success": self._measured(agent, self.sizes.episodes)}

    def _offline(self, folder: Path) -> dict[str, Any]:
        agent, _ = self._trained(self.params, self.offline.updates, self._checkpoint, "offline")
        return {"updates": agent.updates, "success": self._measured(agent, self.sizes.episodes)}

    def _control(self, folder: Path) -> dict[str, Any]:
        agent, replay = self._trained(self.params, self.offline.updates, self._checkpoint, "offline")
        self._train(agent, replay, self.control_updates, folder, "control")
        return {"updates": agent.updates, "success": self._measured(agent, self.sizes.episodes)}

    def _online(self, folder: Path) -> dict[str, Any]:
        from armtune_policies.learn.finetune import Practice
        from armtune_policies.learn.replay import Replay
        from armtune_policies.learn.tutor import Tutor

        agent, replay = self._trained(self.params, self.offline.updates, self._checkpoint, "offline")
        online = Replay(self.practice.rows, replay.shape, self.params)
        arena = self.sight.arena(self.data.grasps, self.practice.carries)
        named = digest([self._named, self._reads("online")])
        tutor = Tutor(self.data.trajectories, arena.scale)
        practice = Practice(agent, replay, online, arena, self.practice, folder, named, tutor)
        curve = Curve(folder / "curve.json", self.practice.steps, self.sizes.points)

        def told(counts: Counts, is_success: bool) -> None:
            self.on_step("practice", min(counts.steps, self.practice.steps), self.practice.steps)
            if curve.is_due(counts.steps) and counts.steps < self.practice.steps:
                practice.save()
                curve.add(asdict(counts), self._measured(agent, self.sizes.point_episodes))

        counts = practice.run(told)
        arena.env.close()
        last = self._measured(agent, self.sizes.episodes)
        points = [*curve.points, {**asdict(counts), "success": last}]
        return {**asdict(counts), "updates": agent.updates, "success": last, "curve": points}

    @property
    def _checkpoint(self) -> Path:
        return self.folder / f"training-{self._named[:12]}"

    @cached_property
    def _named(self) -> str:
        from armtune_policies.learn.offline import training_digest

        return digest([training_digest(self.data, self.params, self.seed), self.offline.updates])

    def _fresh(self, params: AgentParams) -> tuple[Agent, Replay]:
        agent, replay, _ = made(self.data, params, self.seed)
        return agent, replay

    def _trained(self, params: AgentParams, updates: int, folder: Path, what: str) -> tuple[Agent, Replay]:
        agent, replay = self._fresh(params)
        self._train(agent, replay, updates, folder, what)
        return agent, replay

    def _train(self, agent: Agent, replay: Replay, updates: int, folder: Path, what: str) -> None:
        from armtune_policies.learn.offline import training_digest
        from armtune_policies.learn.pretrain import Pretraining

        named = digest([training_digest(self.data, agent.params, self.seed), what])
        every = self.offline.checkpoint_every
        Pretraining(agent, replay, updates, self.seed, folder, named, checkpoint_every=every).run(
            lambda at: self.on_step(what, at.update, at.updates)
        )

    def _measured(self, agent: Agent, episodes: int) -> dict[str, list[int]]:
        arena, done = self.sight.arena(), 0
        found: dict[str, list[int]] = {direction: [0, episodes] for direction in DIRECTIONS}
        for direction in DIRECTIONS:
            for seed in range(EVALUATION_SEED, EVALUATION_SEED + episodes):
                found[direction][0] += _succeeds(agent, arena, direction, seed, self.config.task.episode_steps)
                done += 1
                self.on_step("measuring", done, 2 * episodes)
        arena.env.close()
        return found


class Curve:
    """Measurements while practice goes on, kept as they come."""

    def __init__(self, path: Path, steps: int, points: int) -> None:
        self._path, self._every = path, max(steps // points, 1)
        self.points: list[dict[str, Any]] = read_json(path)["points"] if path.is_file() else []

    def is_due(self, steps: int) -> bool:
        """Whether a multiple of the spacing was passed since the last measurement."""
        last = self.points[-1]["steps"] if self.points else 0
        return steps // self._every > last // self._every

    def add(self, counts: Mapping[str, Any], success: Measured) -> None:
        self.points.append({**counts, "success": success})
        write_json(self._path, {"points": self.points})


def _succeeds(agent: Agent, arena: SimArena, direction: Any, seed: int, steps: int) -> bool:
    """Act by the mean in a held-out scene; return whether it was done in time."""
    from armtune_policies.learn.finetune import acted

    moment, sentence = arena.scene(seed, direction), DIRECTIONS.index(direction)
    for _ in range(steps):
        moment, _ = arena.step(acted(agent, moment, sentence))
        if moment.is_success:
            return True
    return False


def seeded(learning: Learning, seed: int) -> Learning:
    """Return the same with another seed, and another table where it is one table's."""
    config, sim = learning.config, learning.config.sim
    sim = sim if sim.table == ANY_TABLE else replace(sim, table=sim.table + seed)
    return replace(learning, config=replace(config, sim=sim, experiment=replace(config.experiment, seed=seed)))
