"""Videos of a policy on held-out scenes, with what it is asked and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from armtune_bringup.report import video
from armtune_bringup.settings import Config
from armtune_bringup.stages import EVALUATION_SEED, make_env
from armtune_policies.contract import Direction
from armtune_policies.runtime.policy import Policy

PAUSE_FRAMES = 6


def film(config: Config, policy: Policy, direction: Direction, label: str, scenes: int) -> bytes:
    """Return an MP4 of ``scenes`` episodes on the first held-out seeds."""
    return video.mp4(frames(config, policy, direction, label, scenes), 2 * config.policy.rate_hz)


def frames(config: Config, policy: Policy, direction: Direction, label: str, scenes: int) -> Iterator[np.ndarray]:
    """Yield rgb8 frames (480, 640, 3), one a control step."""
    from armtune_sim.env import read

    env, sentence = make_env(config, for_policy=True), config.task.sentence(direction)
    try:
        for seed in range(EVALUATION_SEED, EVALUATION_SEED + scenes):
            seen, info = env.reset(seed=seed, options={"direction": direction})
            for _ in range(config.task.episode_steps):
                yield video.captioned(env.gated.world.render("front"), f"{label}: {sentence}")
                images, state = read(seen)
                seen, _, ended, _, info = env.step(policy.propose(policy.features(images), state, sentence))
                if ended:
                    break
            word = "done" if info["is_success"] else "not done"
            last = video.captioned(env.gated.world.render("front"), f"{label}: {sentence}: {word}")
            yield from [last] * PAUSE_FRAMES
    finally:
        env.close()
