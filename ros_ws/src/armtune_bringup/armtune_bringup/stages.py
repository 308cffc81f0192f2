"""Collect, pre-train, evaluate: each a function of the config, without ROS.

torch is imported where it is used, so that the other commands start without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.contract.paths import config_root
from armtune_policies.store.episode_reader import next_index
from armtune_policies.store.files import read_json, write_json
from armtune_safety.settings import GateParams
from armtune_sim.opengl import backend
from armtune_sim.settings import ANY_TABLE, SimParams
from armtune_sim.shift import NONE
from armtune_sim.take import Take

from .compose import config_hash
from .settings import Config, ExperimentParams

if TYPE_CHECKING:
    from armtune_policies.learn.evaluate import Evaluation, Proposer
    from armtune_policies.store.manifest import Manifest
    from armtune_sim.collect import Collected
    from armtune_sim.env import ArmEnv

EVALUATION_SEED = 1_000_000
"""First of the held-out scenes; demonstrations and practice draw theirs elsewhere."""

FIRST_JUDGE = {"updates": 1000}
"""How the success classifier of a few demonstrations is trained; ``armtune reward train`` makes a better one."""


def make_env(
    config: Config, sim: SimParams | None = None, kind: type[ArmEnv] | None = None, for_policy: bool = False
) -> ArmEnv:
    """Return the simulated world of the config, or of ``sim``, behind the same limits as on a robot.

    One ``for_policy`` has a sticky gripper, as ``policy_node``; what was demonstrated or recorded is done as it is.
    """
    from armtune_sim.env import ArmEnv

    mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
    gate = GateParams(
        robot=config.robot, safety=config.safety, rate_hz=config.policy.rate_hz, time="lockstep", mjcf=mjcf
    )
    return (kind or ArmEnv)(
        config.task.name,
        sim=sim or config.sim,
        gate=gate,
        observation=config.policy.observation,
        episode_steps=config.task.episode_steps,
        grip_steps=config.policy.grip_steps if for_policy else 1,
    )


def collect_demos(
    config: Config, folder: Path, run_id: str, on_episode: Callable[[Collected], None] = lambda _: None
) -> list[Collected]:
    """Write the demonstrations and failures both directions lack into ``folder/episodes``; a second call continues.

    They are of ``other_tables`` than the one practised on.

    Raises:
        OSError: when the disk refuses, or this machine cannot draw.
    """
    backend()
    from armtune_sim.collect import collect

    e, have = config.experiment, next_index(folder, run_id)
    env = make_env(config, other_tables(config))
    made: list[Collected] = []
    try:
        for episode in collect(
            env, config.task, planned(e)[have:], seed=e.seed, noise=e.demo_noise, folder=folder / "episodes",
            run_id=run_id, first_index=have, config_hash=config_hash(config),
        ):  # fmt: skip
            made.append(episode)
            on_episode(episode)
    finally:
        env.close()
    return made


def other_tables(config: Config) -> SimParams:
    """Return how demonstrations' scenes differ: each of another table, nothing shifted."""
    e = config.experiment
    return replace(config.sim, variation=e.demo_variation, looks=e.demo_looks, table=ANY_TABLE, shift=NONE)


def planned(e: ExperimentParams) -> list[Take]:
    """Return what is collected, in order.

    Demonstrations take turns, each from where the one before ended, as practice begins them; every second pair
    begins in a scene of its own. Then failures, then recoveries from failures. The first after a kill has a scene of
    its own.
    """
    forward, backward = DIRECTIONS
    fresh, kept = (Take(forward), Take(backward, keeps=True)), (Take(forward, keeps=True), Take(backward, keeps=True))
    shown = [take for pair in range(e.demos) for take in (kept if pair % 2 else fresh)]
    failed = [Take(direction, is_spoilt=True) for direction in DIRECTIONS]
    mended = [take for way in DIRECTIONS for take in (Take(way, is_spoilt=True), Take(way, keeps=True))]
    return shown + e.failures * failed + e.recoveries * mended


def pretrain_models(
    config: Config, demos: Path, policy_folder: Path, reward_folder: Path, on_step: Callable[[str, int, int], None]
) -> tuple[Manifest, Manifest]:
    """Train and export the policy and the success classifier from a run's episodes.

    An interrupted training goes on from the checkpoint it left beside the model's folder.

    Args:
        config: Cameras, rate, task and seed.
        demos: Run folder with the demonstrations.
        policy_folder: Where the policy's model folder goes.
        reward_folder: Where the classifier's goes.
        on_step: Gets "policy" or "reward", how far its training is, and how far it goes.

    Raises:
        ValueError: when there are no episodes, or they do not fit.
    """
    from armtune_policies.learn.bc import pretrain
    from armtune_policies.learn.data import transitions
    from armtune_policies.learn.export import About, export_policy
    from armtune_policies.learn.sentences import embed
    from armtune_policies.learn.sources import sources

    from .judging.frames import by_outcome, is_shown
    from .judging.settings import Judging
    from .judging.train import train

    task, action, observation = config.task, config.policy.action, config.policy.observation
    episodes = [source.read() for source in sources(demos, action, observation)]
    sentences = tuple(task.sentence(direction) for direction in DIRECTIONS)
    embeddings, seed = embed(sentences), config.experiment.seed
    provenance = {"config": config_hash(config), "demos": demos.name, "episodes": len(episodes)}

    data = transitions(episodes, action, observation, sentences)
    done = pretrain(
        data, embeddings, action, observation, seed=seed,
        checkpoint=policy_folder.with_name(f"{policy_folder.name}.training.safetensors"),
        on_progress=lambda p: on_step("policy", p.step, p.updates),
    )  # fmt: skip
    about = About(f"{task.name}-bc", action, observation, embeddings, provenance, {"loss": done.loss})
    policy = export_policy(policy_folder, done.encoder, done.head, about)
    judging = Judging(replace(config, reward=replace(config.reward, folder=str(reward_folder))), fit=FIRST_JUDGE)
    frames = by_outcome(judging, [episode for episode in episodes if is_shown(episode)])
    return policy, train(judging, frames, lambda _, done, total: on_step("reward", done, total), embeddings=embeddings)


def evaluate_policy(
    config: Config,
    policy: Proposer,
    directions: Iterable[Direction] = DIRECTIONS,
    on_episode: Callable[[int, bool], None] = lambda _seed, _won: None,
    first_seed: int = EVALUATION_SEED,
    kept: Path | None = None,
) -> dict[Direction, Evaluation]:
    """Run a policy on held-out scenes in process, and count true successes per direction.

    What is decided by the outcome wants scenes of another ``first_seed``. What the JSON file ``kept`` says was tried
    before is not tried again; it is written after each episode.

    Raises:
        OSError: when this machine cannot draw, saying what to install.
    """
    backend()
    from armtune_policies.learn.evaluate import evaluate
    from armtune_sim.env import read

    env, task = make_env(config, for_policy=True), config.task
    seeds = range(first_seed, first_seed + config.experiment.evaluations)
    rows = read_json(kept) if kept is not None and kept.is_file() else {}
    tried = {way: {seed: (bool(won), int(took)) for seed, won, took in rows.get(way, [])} for way in DIRECTIONS}

    def told(seed: int, is_success: bool) -> None:
        if kept is not None:
            write_json(kept, {way: [[one, *came] for one, came in found.items()] for way, found in tried.items()})
        on_episode(seed, is_success)

    try:
        return {
            direction: evaluate(
                policy, env, read, task.sentence(direction), seeds, task.episode_steps,
                options={"direction": direction}, on_episode=told, tried=tried[direction],
            )
            for direction in directions
        }  # fmt: skip
    finally:
        env.close()
