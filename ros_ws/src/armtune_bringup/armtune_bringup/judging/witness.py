"""Fresh simulated episodes with the truth of every frame, kept in files: experts, failures and practice of policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armtune_bringup.compose import plain
from armtune_bringup.settings import Config
from armtune_bringup.stages import make_env
from armtune_policies.contract import DIRECTIONS, Direction, digest
from armtune_policies.reward.frameset import FrameSet, write_frames
from armtune_policies.reward.gather import FAILURE, PRACTICE
from armtune_policies.runtime.aim import Aim, Floats, shifted
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import load_manifest
from armtune_sim.opengl import backend
from armtune_sim.witness import LINGER_STEPS

EXPERT = "expert"
TAUGHT, MEASURED = Path("frames/taught"), Path("frames/measured")
"""Where in a run frames are kept that a judge learns from, and those that it is measured on, or its vote tuned."""
SCENES = 1000
"""A seed's scenes are those of so many seeds of demonstrations, from as many times itself on."""
OnEpisode = Callable[[], None]


@dataclass(frozen=True)
class Wanted:
    """How many episodes per direction and kind, of which seed; practice is shared out among the policies."""

    seed: int
    episodes: int
    kinds: tuple[str, ...] = (EXPERT, FAILURE, PRACTICE)
    aim_m: float = 0.0
    """How far off, a standard deviation along an axis [m], every second try of practice takes its tool to be."""


def witnessed(
    config: Config,
    wanted: Wanted,
    policies: Mapping[str, Path],
    folder: Path,
    on_episode: OnEpisode = lambda: None,
) -> list[Path]:
    """Keep every frame of fresh episodes, asked its episode's sentence, answered by the truth; return the files.

    Each kind and direction is a file of its own in ``folder``, made once: the same call goes on where it was killed.

    Args:
        config: Task, cameras, robot, and how the tables vary.
        wanted: What to make.
        policies: Who practises, by stage; policy folders.
        folder: Where the frames are kept.
        on_episode: Told of each finished episode.

    Raises:
        ValueError: when practice is wanted and there is no policy, or one will not do.
        OSError: when the disk refuses, or this machine cannot draw.
    """
    backend()
    if PRACTICE in wanted.kinds and not policies:
        raise ValueError("practice episodes need policies to practise: armtune reward collect makes them")
    paths = []
    for kind in wanted.kinds:
        acting = policies if kind == PRACTICE else {}
        versions = {name: load_manifest(path, kinds=("policy",)).version for name, path in acting.items()}
        for direction in DIRECTIONS:
            acted = [*([wanted.aim_m] if wanted.aim_m else []), config.policy.grip_steps] if versions else []
            made = [world_of(config), kind, direction, wanted.seed, wanted.episodes, versions, LINGER_STEPS, *acted]
            named = digest(made)
            path = folder / f"{config.task.name}-{kind}-{direction}-{wanted.seed}-{named[:12]}.safetensors"
            if not path.is_file():
                write_frames(path, _made(config, wanted, kind, direction, policies, on_episode))
            paths.append(path)
    return paths


def world_of(config: Config) -> list[Any]:
    """Return what fresh episodes depend on, and nothing else: judges share them."""
    said = plain(config)
    world = [*(said[group] for group in ("task", "sim", "robot", "safety")), config.experiment.demo_noise]
    return [*world, config.policy.observation.digest, config.policy.rate_hz]


def _made(
    config: Config,
    wanted: Wanted,
    kind: str,
    direction: Direction,
    policies: Mapping[str, Path],
    on_episode: OnEpisode,
) -> FrameSet:
    from armtune_sim.witness import Witnessed, expert, witness

    task, env = config.task, make_env(config, for_policy=kind == PRACTICE)
    stages = list(policies.items()) if kind == PRACTICE else [(kind, Path())]
    seen: list[tuple[str, Witnessed]] = []
    try:
        for stage, folder in stages:
            policy = Policy.load(folder, config.policy.action, config.policy.observation) if kind == PRACTICE else None
            # each kind and stage has scenes of its own: the same table twice would count one mistake twice
            base = (
                wanted.seed * SCENES
                + 10 * [EXPERT, FAILURE, PRACTICE].index(kind)
                + [s for s, _ in stages].index(stage)
            )
            aim = Aim(wanted.aim_m, wanted.aim_m, base)
            for index in range(-(-wanted.episodes // len(stages))):
                if policy is None:
                    noise = config.experiment.demo_noise
                    act = expert(env, task, direction, base, index, noise, fails=kind == FAILURE)
                else:
                    act = _acting(policy, task.sentence(direction), aim.off_m(index, index % 2))
                seen.append(
                    (
                        stage if policy is None else f"{PRACTICE}-{stage}",
                        witness(env, task, direction, base, index, act),
                    )
                )
                on_episode()
    finally:
        env.close()
    return _framed(seen, task.sentence(direction), f"{kind}-{direction}-{wanted.seed}", task.name)


def _acting(policy: Policy, sentence: str, off_m: Floats):  # type: ignore[no-untyped-def]
    return lambda images, state: policy.propose(policy.features(images), shifted(state, off_m), sentence)


def _framed(seen, sentence: str, name: str, task: str) -> FrameSet:  # type: ignore[no-untyped-def]
    lengths = [len(one.state) for _, one in seen]
    kinds = tuple(dict.fromkeys(kind for kind, _ in seen))
    count = sum(lengths)
    return FrameSet(
        images={c: np.concatenate([one.images[c] for _, one in seen]) for c in seen[0][1].images},
        state=np.concatenate([one.state for _, one in seen]).astype(np.float32),
        frame=np.arange(count),
        question=np.zeros(count, np.int64),
        is_success=np.concatenate([one.is_done[one.direction] for _, one in seen]),
        episode=np.repeat(np.arange(len(seen)), lengths),
        step=np.concatenate([np.arange(n) for n in lengths]),
        kind=np.repeat([kinds.index(kind) for kind, _ in seen], lengths),
        questions=(sentence,),
        episodes=tuple(f"{task}-{name}-{kind}-{i:04d}" for i, (kind, _) in enumerate(seen)),
        kinds=kinds,
    )
