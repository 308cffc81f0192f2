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


EXTRA = "complementary_info."
"""What LeRobot's own tools call what is neither observation nor action: policies leave it alone."""


def extra(name: str) -> str:
    return f"{EXTRA}{name}"
