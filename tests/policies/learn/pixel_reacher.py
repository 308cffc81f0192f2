"""The reacher seen from above: where the point and its goal are stands in a picture only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from reacher import SENTENCES, SMALL, STEPS, Reacher, scripted

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.learn.actor_critic import Seen
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.finetune import Moment
from armtune_policies.learn.pixels import Frame
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.settings import AgentParams, recipe_params
from armtune_policies.learn.trajectory import Trajectory

SIZE_PX, FAR = 24, 1.2
SHAPE = RowShape(state=1, action=2, images={"top": (SIZE_PX, SIZE_PX)})


def picture(state: np.ndarray, side: int) -> np.ndarray:
    """Return uint8 (24, 24, 3) of a reacher's state: the point green, its goal red."""
    image = np.full((SIZE_PX, SIZE_PX, 3), 40, np.uint8)
    goal = np.array([-1.0 if side else 1.0, state[2]])
    for at, colour in ((goal, (230, 40, 40)), (state[:2], (40, 230, 40))):
        x, y = np.clip((at + FAR) / (2 * FAR) * SIZE_PX, 2, SIZE_PX - 3).astype(int)
        image[y - 2 : y + 3, x - 2 : x + 3] = colour
    return image


class SeenReacher(Reacher):
    """The arena: a picture in place of the state."""

    def begin(self, direction: Direction) -> Moment:
        self.side = DIRECTIONS.index(direction)
        return super().begin(direction)

    def look(self) -> Moment:
        plain = super().look()
        images = {"top": picture(plain.state, self.side)}
        return replace(plain, state=np.zeros(1, np.float32), images=images)


def seen_from_above(one: Trajectory) -> Trajectory:
    """Return a trajectory with pictures in place of its state."""
    images = np.stack([picture(state, one.sentence) for state in one.state])
    return replace(one, state=np.zeros((len(one), 1), np.float32), images={"top": images})


def data(params: AgentParams, demos: int, failures: int) -> Replay:
    replay = Replay(5000, SHAPE, params)
    for seed in range(demos):
        replay.add(seen_from_above(scripted(seed, noise=0.5)))
    for seed in range(failures):
        replay.add(seen_from_above(scripted(100 + seed, noise=0.7, straight=0.0)))
    return replay


def make(recipe: str, demos: int = 60, failures: int = 10, **changes: object) -> tuple[Agent, Replay]:
    mine = {"batch": 64, "critic_lr": 5e-4, "pixels": "drq", "shift_px": 1}
    params = recipe_params(recipe, **{**SMALL, **mine, **changes})
    return Agent(Layout(1, 2, SENTENCES, Frame.of(SHAPE.images)), params, 0), data(params, demos, failures)


def success(agent: Agent, blindfolded: bool = False, seeds: Sequence[int] = range(1000, 1040)) -> float:
    """Share of fresh episodes in which the mean action reaches the goal."""
    arenas = [SeenReacher() for _ in seeds]
    for seed, arena in zip(seeds, arenas):
        arena.reset(seed)
        arena.begin(DIRECTIONS[seed % 2])
    sides, done = [seed % 2 for seed in seeds], np.zeros(len(arenas), bool)
    for _ in range(STEPS):
        images = np.stack([arena.look().images["top"] for arena in arenas])
        image = torch.from_numpy(images) * (not blindfolded)
        seen = Seen(torch.zeros(len(arenas), 1), torch.tensor(sides), image)
        for index, action in enumerate(agent.act(seen).numpy()):
            moment, _ = arenas[index].step(action)
            done[index] |= bool(moment.is_success)
    return float(done.mean())
