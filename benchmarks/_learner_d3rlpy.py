"""d3rlpy's SAC or CalQL, timed: a batch out of its dataset, then ``update``; runs in the environment of the peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import d3rlpy
import numpy as np
import torch
from _learner_turns import serve

BATCH, ACTIONS, ROWS = 256, 7, 4096


def make(job: dict[str, Any]) -> Callable[[], Any]:
    """Return the update of a job."""
    torch.set_num_threads(1)
    size, rng = int(job["state"] + job["features"] + job["sentence"]), np.random.default_rng(0)
    data = d3rlpy.dataset.MDPDataset(
        rng.normal(size=(ROWS, size)).astype(np.float32),
        rng.uniform(-1, 1, (ROWS, ACTIONS)).astype(np.float32),
        np.full(ROWS, -1, np.float32),
        (np.arange(ROWS) % 64 == 63).astype(np.float32),
        action_space=d3rlpy.ActionSpace.CONTINUOUS,
    )
    normed = d3rlpy.models.VectorEncoderFactory(hidden_units=[256, 256], use_layer_norm=True)
    same = {"batch_size": BATCH, "n_critics": int(job["critics"]), "actor_encoder_factory": normed,
            "critic_encoder_factory": normed}  # fmt: skip
    if job["method"] == "calql":  # the weight of the penalty fixed, as ours is
        config = d3rlpy.algos.CalQLConfig(n_action_samples=10, alpha_learning_rate=0.0, **same)
    else:
        config = d3rlpy.algos.SACConfig(**same)
    algo = config.create(device=False)
    algo.build_with_dataset(data)
    return lambda: algo.update(data.sample_transition_batch(BATCH))


if __name__ == "__main__":
    serve(make)
