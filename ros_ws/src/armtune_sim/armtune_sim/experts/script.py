"""A scripted expert: legs from one tool position to the next, told from the truth.

It sees what no policy sees, so it makes demonstrations and nothing else. Noise, failures
and a fresh way of doing it each episode keep its data from being too narrow to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import ActionSpec
from armtune_safety import rotations
from armtune_sim.tasks.base import Scene, Vector

TOOL_DOWN = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Tool pointing straight down, its fingers along the table's y axis."""
OPEN, CLOSED = 1.0, 0.0
_MISS_M = (0.045, 0.07)
_STUCK_STEPS = 6
_ALIKE = 0.6
"""How much of one step's noise is still there in the next: people drift, they do not tremble."""


@dataclass(frozen=True)
class Leg:
    """Go to a place with the gripper so; done when near enough and dwelt long enough."""

    goal: Callable[[Scene], Vector]
    opening: float
    near_m: float = 0.015
    dwell_steps: int = 0
    noise_scale: float = 1.0
    holds: Callable[[Scene], bool] = lambda _: True
    """What must be so to go on after this leg; else it all starts again."""


@dataclass(frozen=True)
class Manner:
    """How one episode is done: drawn once, kept to its end."""

    pace: float
    hover_m: float
    grasp_m: Vector
    spot: Vector
    """Where to put things down, each in -1..1 of the range there is; shape (2,)."""


Plan = Callable[[Manner], Sequence[Leg]]


class Expert:
    """Proposes tool deltas, one a control step, for one episode.

    Args:
        plan: The legs of a direction of a task.
        spec: Bounds of what is proposed.
        rng: Where chance comes from.
        noise: Standard deviation of the noise, in parts of the action bounds.
        failure_rate: Part of the episodes that are spoilt on purpose.
    """

    def __init__(
        self, plan: Plan, spec: ActionSpec, rng: np.random.Generator, noise: float = 0.0, failure_rate: float = 0.0
    ) -> None:
        self._high, self._rng, self._noise = np.array(spec.high), rng, noise
        manner = Manner(
            pace=rng.uniform(0.45, 0.7),
            hover_m=rng.uniform(0.05, 0.08),
            grasp_m=np.array([*rng.uniform(-0.003, 0.003, 2), rng.uniform(-0.003, 0.006)]),
            spot=rng.uniform(-1, 1, 2),
        )
        self._pace, self._legs = manner.pace, tuple(plan(manner))
        angle, far_m = rng.uniform(0, 2 * np.pi), rng.uniform(*_MISS_M)
        self._miss = np.array([np.cos(angle), np.sin(angle), 0]) * far_m
        draws = rng.uniform(size=2)
        self.fails = bool(draws[0] < failure_rate)
        """Whether this episode is spoilt on purpose: it misses, or gives up halfway."""
        self._stops_at = int(rng.integers(1, len(self._legs))) if draws[1] < 0.5 else len(self._legs)
        self._leg = self._dwelt = self._spent = 0
        self._drift = np.zeros(6)

    @property
    def done(self) -> bool:
        """Whether the last leg is behind it."""
        return self._leg >= len(self._legs)

    def propose(self, scene: Scene) -> NDArray[np.float64]:
        """Return a tool delta within the bounds, shape (7,)."""
        self._go_on(scene)
        given_up = self.fails and self._leg >= self._stops_at
        leg = self._legs[min(self._leg, len(self._legs) - 1)]
        gap = np.zeros(3) if self.done or given_up else self._gap(leg, scene)
        turn = rotations.log(TOOL_DOWN @ scene.tool_rotation().T)
        bound = self._pace * self._high[:6]
        wanted = np.clip(np.concatenate([gap, turn]), -bound, bound) + self._noise_now(leg)
        opening = np.clip(leg.opening + self._noise * self._rng.normal(0, 0.05), 0, 1)
        return np.append(np.clip(wanted, -self._high[:6], self._high[:6]), opening)

    def _gap(self, leg: Leg, scene: Scene) -> Vector:
        aim = leg.goal(scene) + (self._miss if self.fails and self._stops_at == len(self._legs) else 0.0)
        return aim - scene.tool()

    def _go_on(self, scene: Scene) -> None:
        while not self.done:
            leg = self._legs[self._leg]
            self._spent += 1
            near = np.linalg.norm(self._gap(leg, scene)) < leg.near_m * (1 + self._noise)
            stuck = self._spent > _STUCK_STEPS + leg.dwell_steps
            if not (near or stuck or self._dwelt):
                return
            if self._dwelt < leg.dwell_steps:
                self._dwelt += 1
                return
            kept = self.fails or leg.holds(scene)
            self._leg, self._dwelt, self._spent = (self._leg + 1 if kept else 0), 0, 0
            if not kept:
                return

    def _noise_now(self, leg: Leg) -> NDArray[np.float64]:
        spread = np.array([1, 1, 1, 0.3, 0.3, 0.3]) * self._noise * self._high[:6]
        fresh = self._rng.normal(0, 1, 6) * spread * np.sqrt(1 - _ALIKE**2)
        self._drift = _ALIKE * self._drift + fresh
        return self._drift * leg.noise_scale


def up(point_m: Vector, by_m: float) -> Vector:
    """Return the point (3,) that is higher by so much [m]."""
    return point_m + np.array([0.0, 0.0, by_m])


def pick(
    at: Callable[[Scene], Vector], manner: Manner, clear_m: float, held: Callable[[Scene], bool] = lambda _: True
) -> list[Leg]:
    """Return the legs that grip something and lift it clear.

    Args:
        at: Where it is gripped.
        clear_m: Height of the tool once lifted.
        held: Whether it came along.
    """

    def grip(scene: Scene) -> Vector:
        return at(scene) + manner.grasp_m

    return [
        Leg(lambda s: up(grip(s), manner.hover_m), OPEN),
        Leg(grip, OPEN, near_m=0.007, noise_scale=0.3),
        Leg(grip, CLOSED, near_m=0.02, dwell_steps=2, noise_scale=0.2),
        Leg(lambda s: np.array([*s.tool()[:2], clear_m]), CLOSED, noise_scale=0.5, holds=held),
    ]


def put(to: Callable[[Scene], Vector], manner: Manner, clear_m: float, rests: Callable[[Scene], bool]) -> list[Leg]:
    """Return the legs that carry what is held to a place, let go and rise.

    Args:
        to: Where it is let go.
        clear_m: Height of the tool on the way.
        rests: Whether it is then where it should be.
    """
    return [
        Leg(lambda s: np.array([*to(s)[:2], clear_m]), CLOSED),
        Leg(to, CLOSED, near_m=0.008, noise_scale=0.4),
        Leg(to, OPEN, near_m=0.03, dwell_steps=1, noise_scale=0.2),
        Leg(lambda s: up(to(s), 0.04 + manner.hover_m), OPEN, noise_scale=0.5, holds=rests),
    ]
