"""What the agent of a study sees: images through a frozen encoder, or the simulator's truth as an upper bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from armtune_bringup.agents import OnStep, gathered
from armtune_bringup.arena import SimArena
from armtune_bringup.settings import Config
from armtune_bringup.stages import collect_demos, make_env, other_tables, planned
from armtune_policies.contract import DIRECTIONS, contract_digest, digest
from armtune_policies.episode.memory import Grasps
from armtune_sim.collect import keeps_scene, prepared
from armtune_sim.env import STATE, ArmEnv, Observation
from armtune_sim.take import Take
from armtune_sim.tasks import Scene

if TYPE_CHECKING:
    from armtune_policies.learn.frozen import FrozenEncoder
    from armtune_policies.learn.offline import Offline, OfflineParams
    from armtune_policies.learn.trajectory import Trajectory

Floats = npt.NDArray[np.float32]


def named_demos(config: Config) -> str:
    """Return what names the demonstrations and failures of a config: all that they depend on."""
    e, p = config.experiment, config.policy
    counts = [e.seed, e.demos, e.failures, e.recoveries, e.demo_noise]
    world = [asdict(config.robot), asdict(config.safety), config.task.as_shown, asdict(other_tables(config))]
    return digest([counts, world, contract_digest(p.action, p.observation)])


class Sight(Protocol):
    """One way to see: its data and its arenas."""

    def data(self, offline: OfflineParams, on_step: OnStep) -> Offline:
        """Return the demonstrations and failures of the seed, as seen this way."""

    def arena(self, grasps: Grasps | None = None, carries: bool = False) -> SimArena:
        """Return a world of its own, as seen this way; nudges aim at ``grasps``, or carry a loose thing there."""


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
            on_step("demonstrations", len(made), len(planned(self.config.experiment)))

        collect_demos(self.config, self.folder, "demos", told)
        return gathered(self.config, offline, self.folder, self.prior, self.encoder(on_step), on_step)

    def arena(self, grasps: Grasps | None = None, carries: bool = False) -> SimArena:
        encoder = self.encoder(lambda what, done, total: None)
        return SimArena(make_env(self.config, for_policy=True), encoder, grasps, carries)

    def encoder(self, on_step: OnStep) -> FrozenEncoder:
        """Return what its images are seen by."""
        from armtune_bringup.encoding import encoder_of
        from armtune_policies.learn.frozen import FrozenEncoder

        policy, folder = self.config.policy, encoder_of(self.config, self.folder, on_step)
        return FrozenEncoder(folder, policy.action, policy.observation)


@dataclass
class Truth:
    """Where everything really is: what a perfect encoder would tell. For studies only, never exported."""

    config: Config

    def data(self, offline: OfflineParams, on_step: OnStep) -> Offline:
        from armtune_policies.learn.offline import Offline

        e, arena = self.config.experiment, self._arena(demos=True)
        takes = planned(e)
        made: list[Trajectory] = []
        for take in takes:
            made.append(demonstrated(arena, self.config, take, len(made)))
            on_step("demonstrations", len(made), len(takes))
        arena.env.close()
        named = digest(["poses from the tool, no heading of what is moved", named_demos(self.config)])
        sentences = tuple(self.config.task.sentence(direction) for direction in DIRECTIONS)
        won = sum(one.imitate for one in made)
        return Offline(tuple(made), sentences, made[0].features.shape[1], named, len(made), won)

    def arena(self, grasps: Grasps | None = None, carries: bool = False) -> SimArena:
        return self._arena(grasps=grasps, carries=carries)

    def _arena(self, demos: bool = False, grasps: Grasps | None = None, carries: bool = False) -> TruthArena:
        other = other_tables(self.config) if demos else self.config.sim
        return TruthArena(make_env(self.config, other, BlindEnv, for_policy=not demos), None, grasps, carries)


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
    """Return both bodies' places from the tool [m], the second's heading as cosine and sine, and the first's place in
    the second's frame [m]: float32 (11,). Where the tool is stands in the state.

    The first one's heading stays out: a peg or a lid is round, turns as it is pushed, and every demonstration begins
    with the same; a policy told of it failed wherever it had turned.
    """
    moved, fixed = bodies
    return np.concatenate(
        [
            scene.position(moved) - scene.tool(),
            scene.position(fixed) - scene.tool(),
            scene.rotation(fixed)[:2, 0],
            scene.within(fixed, scene.position(moved)),
        ]
    ).astype(np.float32)


def demonstrated(arena: SimArena, config: Config, take: Take, index: int) -> Trajectory:
    """Return an episode of the scripted expert as practice would store it; ``collect`` writes the same and lingers."""
    from armtune_policies.learn.finetune import as_trajectory

    e, env, direction = config.experiment, arena.env, take.direction
    scene_seed, expert = prepared(env, config.task, take, e.seed, e.demo_noise, index)
    moments = [arena.begin(direction) if keeps_scene(env, take) else arena.scene(scene_seed, direction)]
    actions: list[Floats] = []
    while len(actions) < config.task.episode_steps and not (actions and moments[-1].is_success):
        moment, made = arena.step(arena.scale.to_unit(expert.propose(env.gated.world.scene)))
        moments.append(moment)
        actions.append(made)
    return as_trajectory(moments, actions, DIRECTIONS.index(direction), f"{direction} demonstration {index}")
