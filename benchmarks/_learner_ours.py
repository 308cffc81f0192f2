"""Our update, timed: a batch out of the replay, then ``Agent.update``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _learner_turns import serve

from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import Trajectory

BATCH, ACTIONS, ROWS = 256, 7, 4096


def make(job: dict[str, Any]) -> Callable[[], Any]:
    """Return the update of a job."""
    torch.set_num_threads(1)
    critics, is_calql = int(job["critics"]), job["method"] == "calql"
    params = AgentParams(
        recipe="calql" if is_calql else "rlpd",
        critics=critics,
        target_subset=critics if is_calql else 2,  # as the peer of each has it
        actor_q="min" if is_calql else "mean",
        cql_actions=10,
        entropy_backup=not is_calql,
        projection=128 if job["features"] else 0,
        batch=BATCH,
        bf16=bool(job["bf16"]),
        compiled=bool(job["compiled"]),
    )
    state, features, embedding = int(job["state"]), int(job["features"]), int(job["sentence"])
    agent = Agent(Layout(state + features, ACTIONS, torch.randn(2, embedding) if embedding else None), params)
    rng = np.random.default_rng(0)
    replay = Replay(ROWS, RowShape(state, ACTIONS, features), params)
    for sentence in (0, 1 if embedding else 0):
        replay.add(_trajectory(rng, ROWS // 2, state, features, sentence))
    return lambda: agent.update(replay.sample(rng, BATCH))


def _trajectory(rng: np.random.Generator, rows: int, state: int, features: int, sentence: int) -> Trajectory:
    last = np.arange(rows) == rows - 1
    return Trajectory(
        source="benchmark",
        features=rng.normal(size=(rows, features)).astype(np.float32),
        state=rng.normal(size=(rows, state)).astype(np.float32),
        action=rng.uniform(-1, 1, (rows, ACTIONS)).astype(np.float32),
        reward=np.where(last, 0.0, -1.0).astype(np.float32),
        terminated=last,
        follows=~last,
        is_step=np.ones(rows, bool),
        sentence=sentence,
    )


if __name__ == "__main__":
    serve(make)
