"""A policy that never comes to rest: the tool circles above the table, whatever it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fixtures.tiny_models import tiny_policy, tiny_reward

CENTRE_M = (0.28, 0.0, 0.20)
TURN_1_M, INWARD_1_M, LEVEL_1_M, OPEN_1 = 7.0, 1.5, 4.0, 4.0


def circling() -> np.ndarray:
    """Weights (7, 7) from state to proposal: round ``CENTRE_M`` in the plane, at one height, gripper open.

    The gripper's opening, 1 here, serves as the constant term.
    """
    by_state = np.zeros((7, 7))
    by_state[:3, :3] = [[-INWARD_1_M, TURN_1_M, 0.0], [-TURN_1_M, -INWARD_1_M, 0.0], [0.0, 0.0, -LEVEL_1_M]]
    by_state[6, :3] = -np.array(CENTRE_M) @ by_state[:3, :3]
    by_state[6, 6] = OPEN_1
    return by_state


def circling_models(folder: Path, config: Any) -> None:
    """Write ``policy``, which circles, and ``reward``, below ``folder``, fit for a whole config."""
    specs = (config.policy.action, config.policy.observation)
    sentences = (config.task.forward, config.task.backward)
    tiny_policy(folder / "policy", *specs, sentences, name="circling", by_state=circling())
    tiny_reward(folder / "reward", *specs, sentences)
