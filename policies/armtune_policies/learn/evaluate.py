"""How often a policy succeeds in a Gymnasium world, with a 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from armtune_policies.episode.rate import wilson

Images = Mapping[str, npt.NDArray[np.uint8]]
Read = Callable[[Any], tuple[Images, npt.NDArray[np.float32]]]
"""Turns what the world observes into images by camera and a state (7,)."""


class Proposer(Protocol):
    """What evaluation needs of ``runtime.policy.Policy``."""

    def features(self, images: Images) -> npt.NDArray[np.float32]: ...

    def propose(
        self, features: npt.NDArray[np.float32], state: npt.ArrayLike, sentence: str
    ) -> npt.NDArray[np.float32]: ...


class World(Protocol):
    """The part of ``gymnasium.Env`` that is used; ``info["is_success"]`` is the truth."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]: ...

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]: ...


@dataclass(frozen=True)
class Evaluation:
    """Successes out of ``count`` episodes; ``low`` and ``high`` bound the rate at 95 % (Wilson)."""

    successes: int
    count: int
    low: float
    high: float
    steps: tuple[int, ...]
    outcomes: tuple[bool, ...]

    @property
    def rate(self) -> float:
        return self.successes / self.count

    def __str__(self) -> str:
        return f"{self.rate:.0%} ({self.successes}/{self.count}, 95 % {self.low:.0%} to {self.high:.0%})"


def evaluate(
    policy: Proposer,
    world: World,
    read: Read,
    sentence: str,
    seeds: Iterable[int],
    max_steps: int,
    options: dict[str, Any] | None = None,
    on_episode: Callable[[int, bool], None] = lambda seed, is_success: None,
    tried: dict[int, tuple[bool, int]] | None = None,
) -> Evaluation:
    """Run one episode per seed with the mean proposal and count true successes.

    Args:
        policy: What acts.
        world: Where; an episode ends when it is truncated, done, or after ``max_steps``.
        read: How to see the world's observations as the policy does.
        sentence: What to do.
        seeds: One per episode; keep them apart from those trained on.
        max_steps: Longest episode, control steps.
        options: For ``world.reset``, the direction for example.
        on_episode: Told the seed and whether it was a success.
        tried: Success and steps by seed, of what is not tried again; the rest is added.
    """
    outcomes, steps, tried = [], [], {} if tried is None else tried
    for seed in seeds:
        if seed not in tried:
            tried[seed] = _episode(policy, world, read, sentence, seed, max_steps, options)
        is_success, took = tried[seed]
        outcomes.append(is_success)
        steps.append(took)
        on_episode(seed, is_success)
    low, high = wilson(sum(outcomes), len(outcomes))
    return Evaluation(sum(outcomes), len(outcomes), low, high, tuple(steps), tuple(outcomes))


def _episode(
    policy: Proposer, world: World, read: Read, sentence: str, seed: int, max_steps: int, options: dict[str, Any] | None
) -> tuple[bool, int]:
    seen, _ = world.reset(seed=seed, options=options)
    for step in range(max_steps):
        images, state = read(seen)
        seen, _, terminated, truncated, info = world.step(policy.propose(policy.features(images), state, sentence))
        if info.get("is_success", False):
            return True, step + 1
        if terminated or truncated:
            return False, step + 1
    return False, max_steps
