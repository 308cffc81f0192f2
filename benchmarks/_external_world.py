"""A world in another environment, spoken to over a pipe, and what is done in it: episodes, data, success.

Needs numpy only, for d3rlpy's half imports it too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Act = Callable[[Floats], Floats]
"""What is seen (D,) to an action (A,) in -1..1."""
KEEPS = 0.9
"""Of a tremble, from one step to the next."""
Arrays = dict[str, npt.NDArray[Any]]
HERE = Path(__file__).resolve().parent
EVALUATION = 3_000_000_000
"""Seeds of scenes from here on are for evaluation; practice and data draw below 2**31."""


class World(Protocol):
    """A scene by its seed, steps in it, and an expert that knows what to do next."""

    cpu_s: float
    """Processor time it took so far."""

    def reset(self, seed: int) -> Floats: ...

    def step(self, action: Floats) -> tuple[Floats, bool]: ...

    def expert(self) -> Floats: ...


class Piped:
    """The world that ``_external_env.py`` serves; close it, or use it in ``with``."""

    def __init__(self, task: str) -> None:
        """Start it.

        Raises:
            FileNotFoundError: when the environment has not been made.
        """
        python = HERE / "peers" / "metaworld" / ".venv" / "bin" / "python"
        if not python.exists():
            raise FileNotFoundError(f"{python} is missing; make it by `armtune bench external --make-peers`")
        command = [str(python), str(HERE / "_external_env.py"), task]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cpu_s = 0.0

    def reset(self, seed: int) -> Floats:
        return self._ask({"reset": seed})[0]

    def step(self, action: Floats) -> tuple[Floats, bool]:
        return self._ask({"act": [float(number) for number in action]})

    def expert(self) -> Floats:
        return self._ask({"expert": True})[0]

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=10)

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> tuple[Floats, bool]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the world has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the world ended with {self._process.wait(timeout=10)}; its last words are above")
        answer = json.loads(line)
        self.cpu_s = answer["cpu_s"]
        return np.array(answer["seen"], np.float32), bool(answer["success"])


def episode(world: World, seed: int, act: Act, limit: int) -> tuple[list[Floats], list[Floats], bool]:
    """Run one; return T + 1 observations, T actions, and whether it ended in success."""
    seen = [world.reset(seed)]
    actions: list[Floats] = []
    is_success = False
    while len(actions) < limit and not is_success:
        actions.append(np.clip(act(seen[-1]), -1.0, 1.0).astype(np.float32))
        now, is_success = world.step(actions[-1])
        seen.append(now)
    return seen, actions, is_success


def success_count(world: World, act: Act, limit: int, count: int) -> int:
    """Return how many of the ``count`` scenes of evaluation succeed; they are the same for everyone."""
    return sum(episode(world, EVALUATION + scene, act, limit)[2] for scene in range(count))


def shown(world: World, episodes: int, noise: float, attentive: int, limit: int, seed: int = 0) -> Arrays:
    """Return D4RL's flat arrays of an expert that trembles and often loses the thread; rewards -1, and 0 at success.

    The tremble is Gaussian, ``noise`` wide, and keeps nine tenths of itself from step to step. Of
    every ``attentive`` episodes one is played to its end; in the others the expert is left out from
    a random moment on, and a tremble three times as wide goes on alone: mostly failures, which hold
    good beginnings, so that imitating everything fails and choosing by value does not.
    """
    keys = ("observations", "next_observations", "actions", "rewards", "terminals", "timeouts")
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    for number in range(episodes):
        rng = np.random.default_rng([seed, number])
        leaves = limit if number % attentive == 0 else int(rng.integers(limit // 2))
        act = _Trembling(world, rng, noise, leaves)
        seen, actions, is_success = episode(world, int(rng.integers(2**31)), act, limit)
        last = np.arange(len(actions)) == len(actions) - 1
        columns["observations"] += seen[:-1]
        columns["next_observations"] += seen[1:]
        columns["actions"] += actions
        columns["rewards"] += list(np.where(last & is_success, 0.0, -1.0))
        columns["terminals"] += list(last & is_success)
        columns["timeouts"] += list(last & (not is_success))
    flags = {"terminals", "timeouts"}
    return {key: np.array(rows, bool if key in flags else np.float32) for key, rows in columns.items()}


class _Trembling:
    """The expert of one episode."""

    def __init__(self, world: World, rng: np.random.Generator, noise: float, leaves: int) -> None:
        self.world, self.rng, self.noise, self.leaves, self.steps = world, rng, noise, leaves, 0
        self.lean = rng.normal(size=4)

    def __call__(self, _: Floats) -> Floats:
        self.lean = KEEPS * self.lean + np.sqrt(1 - KEEPS**2) * self.rng.normal(size=4)
        self.steps += 1
        if self.steps > self.leaves:
            return (3.0 * self.noise * self.lean).astype(np.float32)
        return (self.world.expert() + self.noise * self.lean).astype(np.float32)
