"""A world made by code: a tool goes to a red dot, or away from it to the left edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.nouns import SUCCESS, TIMEOUT, EpisodeState

SPEC, ACTION = ObservationSpec(height_px=32, width_px=32), ActionSpec()
GO, BACK = "go to the dot", "go to the left"
SIZE_M, NEAR_M, STEPS = 0.4, 0.04, 14


class DotWorld:
    """State (7,): x and y matter; the image shows the tool in green and the dot in red."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        rng = np.random.default_rng(seed)
        self.sentence = (options or {}).get("sentence", GO)
        self.dot_m = rng.uniform(0.2, 0.38, 2)
        self.tool_m = rng.uniform(0.05, 0.2, 2) if self.sentence == GO else self.dot_m.copy()
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.tool_m = np.clip(self.tool_m + np.asarray(action)[:2], 0, SIZE_M)
        return self.look(), 0.0, False, False, {"is_success": self.is_success}

    @property
    def goal_m(self) -> np.ndarray:
        return self.dot_m if self.sentence == GO else np.array([0.03, self.dot_m[1]])

    @property
    def is_success(self) -> bool:
        return bool(np.linalg.norm(self.tool_m - self.goal_m) < NEAR_M)

    def look(self) -> dict[str, Any]:
        image = np.full((32, 32, 3), 40, np.uint8)
        for at_m, colour in ((self.dot_m, (220, 30, 30)), (self.tool_m, (30, 220, 30))):
            x, y = np.clip(at_m / SIZE_M * 32, 2, 29).astype(int)
            image[y - 2 : y + 3, x - 2 : x + 3] = colour
        state = np.array([*self.tool_m, 0, 0, 0, 0, 1], np.float32)
        return {"images": {"front": image}, "state": state}


def read(seen: dict[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    return seen["images"], seen["state"]


def episode(seed: int, sentence: str = GO, fails: bool = False, noise: float = 0.3) -> Episode:
    """A noisy scripted episode; a failing one stands still."""
    world, rng = DotWorld(), np.random.default_rng([seed, 9])
    seen, _ = world.reset(seed=seed, options={"sentence": sentence})
    images, states, actions = [], [], []
    high = np.array(ACTION.high, np.float32)
    for _ in range(STEPS):
        images.append(seen["images"]["front"])
        states.append(seen["state"])
        action = np.zeros(7, np.float32)
        if not fails:
            action[:2] = np.clip(world.goal_m - world.tool_m, -0.05, 0.05) + rng.normal(0, noise * 0.05, 2)
        action[6] = 1.0
        actions.append(np.clip(action, ACTION.low, high))
        seen = world.step(actions[-1])[0]
        if world.is_success and len(images) >= 5:
            break
    count = len(images)
    about = EpisodeState(
        episode_id=f"dots-{seed:05d}", sentence=sentence, outcome=TIMEOUT if fails else SUCCESS, end_step=count - 1
    )
    values = np.stack(actions).astype(np.float32)
    return Episode(
        path=Path(f"{about.episode_id}.mcap"),
        about=about,
        metadata={},
        images={"front": np.stack(images)},
        state=np.stack(states),
        features=np.zeros((count, 0), np.float32),
        proposed=values,
        allowed=values,
        stamps_ns=np.arange(count) * 200_000_000,
        complete=np.ones(count, bool),
        modes=np.zeros(count, np.uint8),
        verdicts=np.zeros(count, np.uint8),
        probabilities=np.full(count, np.nan, np.float32),
        sources=("motion",) * count,
        limited_by=((),) * count,
        refused=("",) * count,
        policy_versions=("",) * count,
        encoder_digest="",
        observation_digest="",
        reward_digest="",
    )
