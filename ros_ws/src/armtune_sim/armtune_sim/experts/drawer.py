"""Open and shut the drawer by its tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from armtune_sim.tasks.base import Scene, Vector
from armtune_sim.tasks.drawer import OPEN_M, SHUT_M, TAB_M, tab

from .script import CLOSED, OPEN, Leg, Manner, up


def forward(manner: Manner) -> Sequence[Leg]:
    """Pull it out."""
    return _slide(manner, 0.094, lambda s: float(s.data.joint("drawer").qpos[0]) > OPEN_M)


def backward(manner: Manner) -> Sequence[Leg]:
    """Push it in."""
    return _slide(manner, -0.004, lambda s: float(s.data.joint("drawer").qpos[0]) < SHUT_M)


def _slide(manner: Manner, out_m: float, moved: Callable[[Scene], bool]) -> list[Leg]:
    def grip(scene: Scene) -> Vector:
        return tab(scene) + manner.grasp_m

    def there(scene: Scene) -> Vector:
        at = np.array([0, -out_m, 0]) + TAB_M + manner.grasp_m
        return scene.position("cabinet") + scene.rotation("cabinet") @ at

    return [
        Leg(lambda s: up(grip(s), manner.hover_m), OPEN),
        Leg(grip, OPEN, near_m=0.009, noise_scale=0.3),
        Leg(grip, CLOSED, near_m=0.02, dwell_steps=2, noise_scale=0.2),
        Leg(there, CLOSED, near_m=0.006, noise_scale=0.5),
        Leg(there, OPEN, near_m=0.03, dwell_steps=1, noise_scale=0.2),
        Leg(lambda s: up(there(s), 0.04 + manner.hover_m), OPEN, noise_scale=0.5, holds=moved),
    ]
