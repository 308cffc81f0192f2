"""Other people's worlds, served over a pipe; runs in the environment of the peer.

``_external_env.py drawer-open`` reads one JSON request a line and answers in one line:
``{"reset": seed}`` and ``{"act": [..]}`` with what is seen, whether it is a success and the
processor time so far; ``{"expert": true}`` with what the scripted expert would do now.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from typing import Any

import numpy as np

ABOVE = np.array([0.0, 0.0, 0.06])
"""How high over a block the hand comes to it [m]."""
REPEAT = 2
"""Simulator steps that one decision lasts."""


class Drawer:
    """Meta-World's drawer-open-v3: 39 numbers, 4 actions, the drawer's place drawn anew by every seed."""

    def __init__(self) -> None:
        from metaworld import ALL_V3_ENVIRONMENTS
        from metaworld.policies import SawyerDrawerOpenV3Policy

        self.env: Any = ALL_V3_ENVIRONMENTS["drawer-open-v3"]()
        self.env._set_task_called, self.env._freeze_rand_vec, self.env.seeded_rand_vec = True, False, True
        self.script = SawyerDrawerOpenV3Policy()
        self.seen = np.zeros(39)

    def reset(self, seed: int) -> np.ndarray:
        self.env.seed(seed)
        self.seen = self.env.reset()[0]
        return self.seen

    def act(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        for _ in range(REPEAT):
            self.seen, _, _, _, info = self.env.step(action)
            if info["success"]:
                return self.seen, True
        return self.seen, False

    def expert(self) -> np.ndarray:
        return np.clip(self.script.get_action(self.seen), -1.0, 1.0)


class Fetch:
    """Gymnasium-Robotics' FetchPickAndPlace-v4: 25 numbers and the goal's 3, 4 actions; its expert is scripted here."""

    def __init__(self) -> None:
        import gymnasium
        import gymnasium_robotics

        gymnasium.register_envs(gymnasium_robotics)
        self.env: Any = gymnasium.make("FetchPickAndPlace-v4", max_episode_steps=10_000).unwrapped
        self.seen = np.zeros(28)

    def reset(self, seed: int) -> np.ndarray:
        return self._flat(self.env.reset(seed=seed)[0])

    def act(self, action: np.ndarray) -> tuple[np.ndarray, bool]:
        seen, _, _, _, info = self.env.step(action)
        return self._flat(seen), bool(info["is_success"])

    def expert(self) -> np.ndarray:
        """Over the block, down, shut, to the goal: each stage is read off the observation alone."""
        hand, block, goal, width = self.seen[:3], self.seen[3:6], self.seen[25:], self.seen[9] + self.seen[10]
        away = block - hand
        if np.hypot(*away[:2]) > 0.015 and np.linalg.norm(away) > 0.03:
            return self._towards(away + ABOVE, 1.0)
        if abs(away[2]) > 0.01:
            return self._towards(away, 1.0)
        if width > 0.052:
            return np.array([0.0, 0.0, 0.0, -1.0])
        return self._towards(goal - block, -1.0)

    @staticmethod
    def _towards(way: np.ndarray, fingers: float) -> np.ndarray:
        return np.clip(np.append(10.0 * way, fingers), -1.0, 1.0)

    def _flat(self, seen: dict[str, np.ndarray]) -> np.ndarray:
        self.seen = np.concatenate([seen["observation"], seen["desired_goal"]])
        return self.seen


WORLDS = {"drawer-open": Drawer, "fetch-pick-and-place": Fetch}


def main(task: str) -> None:
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not get between
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    world = WORLDS[task]()
    for line in sys.stdin:
        request, success = json.loads(line), False
        if "reset" in request:
            seen = world.reset(request["reset"])
        elif "act" in request:
            seen, success = world.act(np.array(request["act"], np.float32))
        else:
            seen = world.expert()
        answer = {"seen": seen.tolist(), "success": success, "cpu_s": time.process_time()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
