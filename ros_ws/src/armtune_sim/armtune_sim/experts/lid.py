"""Put the lid on the pot and take it off by its knob."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from armtune_sim.tasks.base import Scene, Vector
from armtune_sim.tasks.lid import KNOB_M, PLUG_M, POT_TALL_M, TABLE_MIDDLE_M, knob, lies

from .script import Leg, Manner, pick, put, up

_CLEAR_M = 0.14


def forward(manner: Manner) -> Sequence[Leg]:
    """From the table onto the pot."""

    def on_pot(scene: Scene) -> Vector:
        return up(scene.position("pot") + manner.grasp_m, POT_TALL_M + KNOB_M + 0.004)

    return [*pick(knob, manner, _CLEAR_M, _held), *put(on_pot, manner, _CLEAR_M, lambda s: lies(s, "forward"))]


def backward(manner: Manner) -> Sequence[Leg]:
    """From the pot onto the table."""

    def on_table(_: Scene) -> Vector:
        xy = np.array(TABLE_MIDDLE_M) + manner.spot * [0.045, 0.04]
        return np.array([*xy, PLUG_M + KNOB_M + 0.004 + manner.grasp_m[2]])

    return [*pick(knob, manner, _CLEAR_M, _held), *put(on_table, manner, _CLEAR_M, lambda s: lies(s, "backward"))]


def _held(scene: Scene) -> bool:
    return bool(scene.position("lid")[2] > POT_TALL_M + 0.015)
