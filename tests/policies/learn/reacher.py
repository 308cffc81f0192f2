"""A point on a table, 2-D: forward to the right, backward to the left; small enough to learn in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.finetune import Moment, as_trajectory
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.settings import AgentParams, recipe_params
from armtune_policies.learn.trajectory import Trajectory

STEPS, REACH, STRIDE = 20, 0.2, 0.15
SENTENCES = torch.eye(2)
SHAPE = RowShape(state=3, action=2)
SMALL = {
    "hidden": (64, 64),
    "projection": 32,
    "batch": 128,
    "gamma": 0.95,
    "cql_actions": 4,
    "critics": 2,
    "actor_lr": 1e-3,
    "critic_lr": 1e-3,
    "temperature_lr": 1e-3,
    "temperature": 0.1,
    "tau": 0.02,
}


class Reacher:
    """An ``Arena``. State: place (2,) and the height (1,) of the goal on the side asked for."""

    lifts = 0

    def reset(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def nudge(self, seed: int, times: int) -> bool:
        """Every episode's goal is another one as it is."""
        return True

    def begin(self, direction: Direction) -> Moment:
        self.at = self.rng.uniform(-0.3, 0.3, 2)
        self.goal = np.array([1.0 if direction == "forward" else -1.0, self.rng.uniform(-0.8, 0.8)])
        return self.look()

    def step(self, action: np.ndarray) -> tuple[Moment, np.ndarray]:
        made = np.clip(action, -1, 1).astype(np.float32)
        self.at = np.clip(self.at + STRIDE * made, -1.2, 1.2)
        return self.look(), made

    def look(self) -> Moment:
        state = np.array([*self.at, self.goal[1]], np.float32)
        return Moment(np.zeros(0, np.float32), state, bool(np.linalg.norm(self.at - self.goal) < REACH))


def scripted(seed: int, noise: float, straight: float = 1.0) -> Trajectory:
    """A noisy episode; ``straight`` 0 wanders."""
    arena, rng = Reacher(), np.random.default_rng([seed, 1])
    arena.reset(seed)
    direction = DIRECTIONS[seed % 2]
    moments, actions = [arena.begin(direction)], []
    while len(actions) < STEPS and not moments[-1].is_success:
        aim = straight * np.clip((arena.goal - arena.at) / STRIDE, -1, 1)
        moment, made = arena.step(aim + noise * rng.normal(size=2))
        moments.append(moment)
        actions.append(made)
    return as_trajectory(moments, actions, DIRECTIONS.index(direction), f"scripted {seed}")


def data(params: AgentParams, demos: int = 10, failures: int = 20) -> Replay:
    """Few noisy demonstrations, more wandering."""
    replay = Replay(5000, SHAPE, params)
    for seed in range(demos):
        replay.add(scripted(seed, noise=0.8))
    for seed in range(failures):
        replay.add(scripted(100 + seed, noise=0.7, straight=0.0))
    return replay


def make(recipe: str, seed: int = 0, **changes: object) -> tuple[Agent, Replay]:
    params = recipe_params(recipe, **{**SMALL, **changes})
    agent, replay = Agent(Layout(3, 2, SENTENCES), params, seed), data(params)
    agent.set_scale(*replay.spread())
    return agent, replay


def success(agent: Agent, seeds: Sequence[int] = range(1000, 1040)) -> float:
    """Share of fresh episodes in which the mean action reaches the goal."""
    hits = 0
    for seed in seeds:
        arena = Reacher()
        arena.reset(seed)
        side = seed % 2
        moment, steps = arena.begin(DIRECTIONS[side]), 0
        while not moment.is_success and steps < STEPS:
            seen = Seen(torch.from_numpy(moment.state[None]), torch.tensor([side]))
            moment, _ = arena.step(agent.act(seen)[0].numpy())
            steps += 1
        hits += bool(moment.is_success)
    return hits / len(seeds)
