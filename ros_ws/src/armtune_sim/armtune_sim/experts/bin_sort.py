"""Move the peg between the table and the bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from armtune_sim.tasks.base import Scene, Vector
from armtune_sim.tasks.bin_sort import GRASP_M, TABLE_HALF_M, TABLE_MIDDLE_M, TALL_M, held_at, stands

from .script import Leg, Manner, pick, put, up

_CLEAR_M = 0.13
_DROP_M = TALL_M / 2 + GRASP_M + 0.008


def forward(manner: Manner) -> Sequence[Leg]:
    """From the table into the bin."""

    def in_bin(scene: Scene) -> Vector:
        away = scene.rotation("bin") @ np.array([*(0.015 * manner.spot), 0])
        return up(scene.position("bin") + away, _DROP_M)

    return [*pick(held_at, manner, _CLEAR_M, _held), *put(in_bin, manner, _CLEAR_M, lambda s: stands(s, "forward"))]


def backward(manner: Manner) -> Sequence[Leg]:
    """From the bin onto the table."""

    def on_table(_: Scene) -> Vector:
        return np.array([*(np.array(TABLE_MIDDLE_M) + manner.spot * TABLE_HALF_M), _DROP_M])

    return [*pick(held_at, manner, _CLEAR_M, _held), *put(on_table, manner, _CLEAR_M, lambda s: stands(s, "backward"))]


def _held(scene: Scene) -> bool:
    return bool(scene.position("peg")[2] > TALL_M / 2 + 0.03)
