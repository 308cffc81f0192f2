"""What is wanted of an episode, told without the simulator: plans are made where no OpenGL has been looked for yet."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Direction


@dataclass(frozen=True)
class Take:
    """One episode to collect."""

    direction: Direction
    is_spoilt: bool = False
    """Whether it fails on purpose."""
    keeps: bool = False
    """Whether it begins where the one before it ended, unless it is done there; else in a scene of its own."""
