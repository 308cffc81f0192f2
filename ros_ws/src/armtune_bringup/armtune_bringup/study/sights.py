"""What the agent of a study sees: images through a frozen encoder, or the simulator's truth as an upper bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from armtune_bringup.agents import OnStep, gathered
from armtune_bringup.arena import SimArena
from armtune_bringup.settings import Config
from armtune_bringup.stages import collect_demos, make_env, planned, planned_parts
from armtune_policies.contract import DIRECTIONS, Direction, digest
from armtune_sim.collect import chance
from armtune_sim.env import STATE, ArmEnv, Observation
from armtune_sim.experts import make_expert
from armtune_sim.tasks import Scene

if TYPE_CHECKING:
    from armtune_policies.learn.frozen import FrozenEncoder
    from armtune_policies.learn.offline import Offline, OfflineParams
    from armtune_policies.learn.trajectory import Trajectory

Floats = npt.NDArray[np.float32]


class Sight(Protocol):
    """One way to see: its data and its arenas."""

    def data(self, offline: OfflineParams, on_step: OnStep) -> Offline:
        """Return the demonstrations and failures of the seed, as seen this way."""

    def arena(self) -> SimArena:
        """Return a world of its own, as seen this way."""


@dataclass
class Images:
    """The camera through the encoder that ``armtune pretrain`` would train on the same episodes."""

    config: Config
    folder: Path
    """Where this seed's demonstrations are kept."""
    prior: Path | None = None

    def data(self, offline: OfflineParams, on_step: OnStep) -> Offline:
        made: list[object] = []

        def told(one: object) -> None:
            made.append(one)
            on_step("demonstrations", len(made), planned(self.config))

        collect_demos(self.config, self.folder, "demos", told)
        return gathered(self.config, offline, self.folder, self.prior, self._encoder(on_step), on_step)

    def arena(self) -> SimArena:
        return SimArena(make_env(self.config), self._encoder(lambda what, done, total: None))

    def _encoder(self, on_step: OnStep) -> FrozenEncoder:
        from armtune_bringup.encoding import encoder_of
        from armtune_policies.learn.frozen import FrozenEncoder

        policy, folder = self.config.policy, encoder_of(self.config, self.folder, self.prior, on_step)
        return FrozenEncoder(folder, policy.action, policy.observation)


@dataclass
class Truth:
    """Where everything really is: what a perfect encoder would tell. For studies only, never exported."""

    config: Config

    def data(self, offline: OfflineParams, on_step: OnStep) -> Offline:
        from armtune_policies.learn.offline import Offline

        e, arena = self.config.experiment, self._arena(demos=True)
        made: list[Trajectory] = []
        for direction, count, fails, mends in planned_parts(e):
            for i in range(count):
                made.append(demonstrated(arena, self.config, direction, len(made), fails, mends and i % 2 == 1))
                on_step("demonstrations", len(made), planned(self.config))
        arena.env.close()
        named = digest(["truth and direction", self.config.task.name, asdict(self.config.sim), asdict(e)])
        sentences = tuple(self.config.task.sentence(direction) for direction in DIRECTIONS)
        won = sum(one.imitate for one in made)
        return Offline(tuple(made), sentences, made[0].features.shape[1], named, len(made), won)

    def arena(self) -> SimArena:
        return self._arena()

    def _arena(self, demos: bool = False) -> TruthArena:
        e, sim = self.config.experiment, self.config.sim
        other = replace(sim, variation=e.demo_variation, looks=e.demo_looks) if demos else sim
        return TruthArena(make_env(self.config, other, BlindEnv), None)


class BlindEnv(ArmEnv):
    """Draws no images."""

    def observe(self) -> Observation:
        return {STATE: self.gated.state()}


class TruthArena(SimArena):
    """Its features are the poses of the task's bodies and 1 or -1 for the direction, so that no sentence is needed."""

    def _features(self, images: dict[str, npt.NDArray[np.uint8]]) -> Floats:
        world, way = self.env.gated.world, 1.0 if self.env.direction == DIRECTIONS[0] else -1.0
        return np.append(poses(world.scene, world.task.bodies), np.float32(way))


def poses(scene: Scene, bodies: tuple[str, ...]) -> Floats:
    """Return per body its place from the tool and from the base [m] and its heading as cosine and sine, then the
    first body's place in the second's frame [m]: float32 (8 N + 3,)."""
    parts = []
    for body in bodies:
        turned = scene.rotation(body)
        parts += [scene.position(body) - scene.tool(), scene.position(body), turned[:2, 0]]
    parts.append(scene.within(bodies[1], scene.position(bodies[0])))
    return np.concatenate(parts).astype(np.float32)


def demonstrated(
    arena: SimArena, config: Config, direction: Direction, index: int, fails: float, is_mending: bool
) -> Trajectory:
    """Return an episode of the scripted expert as practice would store it: the one that ``collect`` would write."""
    from armtune_policies.learn.finetune import as_trajectory

    e, task, world = config.experiment, config.task, arena.env.gated.world
    scene_seed, rng = chance(e.seed, direction, index)
    expert = make_expert(task.name, direction, rng, e.demo_noise, 0.0 if is_mending else fails, arena.env.gated.spec)
    keeps = is_mending and not world.success(direction)
    moments = [arena.begin(direction) if keeps else arena.scene(scene_seed, direction)]
    actions: list[Floats] = []
    while len(actions) < task.episode_steps and not (actions and moments[-1].is_success):
        moment, made = arena.step(arena.scale.to_unit(expert.propose(world.scene)))
        moments.append(moment)
        actions.append(made)
    return as_trajectory(moments, actions, DIRECTIONS.index(direction), f"{direction} demonstration {index}")
