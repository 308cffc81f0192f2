"""What each process of a crew runs: ``torchrun ... crew_run.py <folder> <updates> <case> ...``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

import pixel_reacher
from reacher import SENTENCES, SHAPE, SMALL, scripted

from armtune_policies.learn.agent import Layout
from armtune_policies.learn.context import Batch
from armtune_policies.learn.crew import ALONE, Alone, Crew
from armtune_policies.learn.distributed import make_agent, make_replay, run
from armtune_policies.learn.pixels import Frame
from armtune_policies.learn.pretrain import Pretraining
from armtune_policies.learn.settings import recipe_params

EPISODES = 9
BATCH = 33
EPS = 1e-4
"""Of Adam, far above what rounding leaves of a gradient that is none: divided by itself, that would be a whole step."""
CHANGES = {**SMALL, "batch": BATCH, "bc_weight": 1.0, "critics": 3}


def with_eps(make: Callable[[], torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """Return the optimiser that ``make`` makes, with ``EPS``."""
    made = make()
    for group in made.param_groups:
        group["eps"] = EPS
    return made


def training(case: str, updates: int, folder: Path | None, crew: Alone = ALONE) -> Pretraining:
    """Return a training on this process's part of nine episodes; ``case`` names a recipe, and what is special."""
    torch.set_num_threads(1)
    recipe, _, special = case.partition("-")
    every, pixels = 1 if recipe == "bc" else 2, "drq" if special == "pixels" else "none"
    params = recipe_params(recipe, **CHANGES, actor_every=every, pixels=pixels, shift_px=2)
    shape = pixel_reacher.SHAPE if special == "pixels" else SHAPE
    mine = crew.own(EPISODES)
    replay = make_replay(30 * len(mine), shape, params, crew)
    agent = make_agent(Layout(shape.state, 2, SENTENCES, Frame.of(shape.images)), params, 0, crew)
    for seed in mine:
        one = scripted(seed, noise=0.8)
        one = pixel_reacher.seen_from_above(one) if special == "pixels" else one
        one = replace(one, weight=0.5 + (seed > 2)) if special == "weighted" else one
        replay.add(replace(one, reward=one.reward * (1 + seed)) if special == "uneven" else one)
    agent._optimiser = partial(with_eps, agent._optimiser)
    agent.optimiser = agent._optimiser()
    agent.set_scale(*replay.spread())
    kept = folder if crew.rank == 0 else None
    return Pretraining(agent, replay, updates, 0, kept, case, report_every=5, checkpoint_every=10)


def die_at(update: int, one: Pretraining) -> None:
    """Let this process be killed when the training has made so many updates."""
    sample = one.replay.sample

    def last_sample(rng: np.random.Generator, count: int) -> Batch:
        if one.agent.updates == update:
            os.kill(os.getpid(), signal.SIGKILL)
        return sample(rng, count)

    one.replay.sample = last_sample


def main(folder: Path, updates: int, cases: list[str]) -> None:
    crew = Crew.from_environment(silence_s=60.0)
    if crew is None:
        raise SystemExit("expected to be started by torchrun")
    for case in cases:
        one = training(case, updates, folder / case, crew)
        if crew.rank and (dies_at := os.environ.get("CREW_DIES_AT")):
            die_at(int(dies_at), one)
        run(one, crew)
        crew.agree(one.agent._most(one.replay.sample(np.random.default_rng(0), BATCH)), "largest loss to step on")
        if not 0 < len(one.replay) < sum(crew.pooled([len(one.replay)])):
            raise SystemExit("expected a part of the data in each process")
    crew.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
