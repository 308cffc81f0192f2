"""Dataset keys, as LeRobot v3 spells them."""

from __future__ import annotations

STATE = "observation.state"
FEATURES = "observation.features"
ACTION = "action"
"""The *allowed* tool delta: what the world answered to."""
PROPOSED = "action.proposed"
REWARD = "next.reward"
DONE = "next.done"
TERMINATED = "next.terminated"
TRUNCATED = "next.truncated"
SUCCESS = "next.success"
INTERVENTION = "intervention"
TASK = "task"
STAMP = "observation.stamp_ns"


def image(camera: str) -> str:
    return f"observation.images.{camera}"
