"""Demonstrations by a scripted expert, written as the same episode files that practice writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from armtune_policies.contract import Decision, Direction, TaskPair
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import SUCCESS, TIMEOUT, EpisodeState, Observation

from .env import ArmEnv, read
from .experts import Expert, make_expert
from .take import Take

LINGER_STEPS = 3
"""Steps after success: the success classifier learns from the last frames of a demonstration."""
VERSION = "scripted"
"""What demonstrations name as their policy's version."""


@dataclass(frozen=True)
class Collected:
    """One episode as written."""

    path: Path
    episode_id: str
    direction: Direction
    is_success: bool
    steps: int


def collect(
    env: ArmEnv,
    task: TaskPair,
    takes: Iterable[Take],
    *,
    seed: int,
    noise: float,
    folder: Path,
    run_id: str = "demos",
    first_index: int = 0,
    config_hash: str = "",
) -> Iterator[Collected]:
    """Write episodes, one after the other, yielding each when its file is whole.

    Episodes that fail, on purpose or by the noise, are kept with the outcome ``timeout``.

    Args:
        env: The world of ``task``; it is reset for each episode.
        task: Its sentences, and how long an episode lasts.
        takes: What is wanted of each.
        seed: Same seed, index and take, same episode, where it begins in a scene of its own.
        noise: Of the expert, in parts of the action bounds.
        folder: The run's ``episodes`` folder.
        first_index: Index of the first episode in its run.

    Raises:
        FileExistsError: when an episode of this name is there already.
        OSError: when the disk refuses.
    """
    for index, take in enumerate(takes, first_index):
        scene_seed, expert = prepared(env, task, take, seed, noise, index)
        direction = take.direction
        about = EpisodeState(
            run_id=run_id,
            episode_id=f"{run_id}-{index:05d}",
            index=index,
            task=task.name,
            direction=direction,
            sentence=task.sentence(direction),
            config_hash=config_hash,
        )
        options = {"direction": direction, "episode_id": about.episode_id, "keep_scene": keeps_scene(env, take)}
        named = {} if options["keep_scene"] else {"world_seed": scene_seed}  # else no seed makes this scene
        world = {
            **named,
            **{f"world_{key}": value for key, value in vary(env).items()},
            "noise": noise,
        }
        with EpisodeWriter(folder, about, {key: str(value) for key, value in world.items()}) as writer:
            env.reset(seed=scene_seed, options=options)
            done_step = _demonstrate(env, expert, writer, about.episode_id, task.episode_steps)
            is_success = done_step is not None
            path = writer.close(SUCCESS if is_success else TIMEOUT, writer.steps - 1)
        yield Collected(path, about.episode_id, direction, is_success, writer.steps)


def prepared(env: ArmEnv, task: TaskPair, take: Take, seed: int, noise: float, index: int) -> tuple[int, Expert]:
    """Return the seed of a take's own scene, and its expert."""
    scene_seed, rng = chance(seed, take.direction, index)
    return scene_seed, make_expert(task.name, take.direction, rng, noise, float(take.is_spoilt), env.gated.spec)


def vary(env: ArmEnv) -> dict[str, float | str]:
    """Return what a scene depends on beside its seed."""
    sim = env.gated.world.params
    return {
        "variation": sim.variation,
        "looks": sim.looks,
        "distractors": sim.distractors,
        "table": sim.table,
        "shift": sim.shift,
    }


def keeps_scene(env: ArmEnv, take: Take) -> bool:
    """Return whether a take begins in the scene as it is."""
    return take.keeps and not env.gated.world.success(take.direction)


def _demonstrate(env: ArmEnv, expert: Expert, writer: EpisodeWriter, episode_id: str, limit: int) -> int | None:
    """Act until it is done and a little longer; return the step that did it, None if none did.

    Where the gate stops the arm, which pressed against something, it ends; the arm is lifted home for the next.
    """
    seen, done_step = env.observe(), None
    for step in range(limit + LINGER_STEPS):
        if env.gated.is_stopped or step >= (limit if done_step is None else done_step + 1 + LINGER_STEPS):
            break
        images, state = read(seen)
        stamp_ns = env.gated.world.time_ns
        observation = Observation(episode_id, step, stamp_ns, images, state, observation_digest=env.seen.digest)
        seen, _, _, _, info = env.step(expert.propose(env.gated.world.scene).astype(np.float32), VERSION)
        writer.add_step(observation=observation, decision=cast(Decision, env.decision))
        if info["is_success"] and done_step is None:
            done_step = step
    return done_step


def chance(seed: int, direction: Direction, index: int) -> tuple[int, np.random.Generator]:
    """Return a scene's seed, far from the small ones that people evaluate on, and the expert's chance."""
    sequence = np.random.SeedSequence([seed, direction == "backward", index])
    scene_seed = int(sequence.generate_state(1, np.uint64)[0] >> 2)
    return scene_seed, np.random.default_rng(sequence.spawn(1)[0])
