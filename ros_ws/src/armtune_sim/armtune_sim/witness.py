"""Episodes with the truth of every frame: what judges of success are measured on. For evaluation and operators in play.

A policy sees images and joints only; the scripted expert is told the truth, as when it demonstrates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import DIRECTIONS, Direction, TaskPair
from armtune_policies.reward.tune import WINDOWS

from .collect import chance
from .env import ArmEnv, read
from .experts import make_expert

LINGER_STEPS = max(WINDOWS)
"""Frames after a success: as many as the longest vote looks at that may be tuned on them."""

Images = dict[str, NDArray[np.uint8]]
Act = Callable[[Images, NDArray[np.float32]], NDArray[np.float32]]
"""From images (H, W, 3) by camera and state (7,) to a tool delta (7,)."""


@dataclass(frozen=True)
class Witnessed:
    """One episode of T steps: what was seen before each step, and whether each direction was done then."""

    direction: Direction
    images: dict[str, NDArray[np.uint8]]
    """By camera, uint8 (T, H, W, 3)."""
    state: NDArray[np.float32]
    """(T, 7)."""
    is_done: dict[Direction, NDArray[np.bool_]]
    """By direction, bool (T,)."""


def expert(env: ArmEnv, task: TaskPair, direction: Direction, seed: int, index: int, noise: float, fails: bool) -> Act:
    """Return the scripted expert as one who acts; spoilt on purpose when it ``fails``."""
    _, rng = chance(seed, direction, index)
    script = make_expert(task.name, direction, rng, noise, float(fails), env.gated.spec)
    return lambda images, state: script.propose(env.gated.world.scene).astype(np.float32)


def witness(env: ArmEnv, task: TaskPair, direction: Direction, seed: int, index: int, act: Act) -> Witnessed:
    """Act in the scene of a seed and index until it is done and a little longer, at most ``task.episode_steps``."""
    env.reset(seed=chance(seed, direction, index)[0], options={"direction": direction})
    seen, rows, left = env.observe(), [], task.episode_steps
    while left > 0:
        images, state = read(seen)
        done = [env.gated.world.success(way) for way in DIRECTIONS]
        rows.append((images, state, done))
        seen, _, is_over, _, _ = env.step(act(images, state))
        left = min(left - 1, LINGER_STEPS) if is_over else left - 1
    pictures, states, truths = zip(*rows)
    return Witnessed(
        direction,
        {camera: np.stack([one[camera] for one in pictures]) for camera in pictures[0]},
        np.stack(states),
        {way: np.array([truth[i] for truth in truths]) for i, way in enumerate(DIRECTIONS)},
    )
