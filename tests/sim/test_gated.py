"""The world behind the gate, in one process: what a nudge does to the scene."""

from __future__ import annotations

import numpy as np

from armtune_policies.episode.nudge import stroke
from armtune_sim.gated import GatedWorld
from armtune_sim.settings import SimParams

GOAL = np.array([0.255, -0.10, 0.035])


def test_stroke_brings_what_a_hand_missed_nearer_to_where_it_is_taken_hold_of() -> None:
    gated = GatedWorld("bin_sort", SimParams(variation=1.0))
    rng, before_m, after_m = np.random.default_rng(5), [], []
    for seed in range(8):
        gated.reset(seed, "forward")
        peg = gated.world.scene.position("peg").copy()
        missed = np.tile(gated.state(), (2, 1))
        missed[:, :3] = peg + np.append(rng.normal(0, 0.01, 2), 0.006)
        gated.stroke(stroke(missed, np.array([1.0, 0.0]), GOAL, rng))
        gated.home()
        before_m.append(np.linalg.norm((peg - GOAL)[:2]))
        after_m.append(np.linalg.norm((gated.world.scene.position("peg") - GOAL)[:2]))
    assert np.mean(after_m) < np.mean(before_m)
    assert gated.lifts == 0
    gated.world.close()


def test_stroke_out_of_reach_ends() -> None:
    gated = GatedWorld("bin_sort", SimParams())
    gated.reset(0, "forward")
    began_ns = gated.world.time_ns
    gated.stroke(np.array([[0.9, 0.9, 0.1], [0.9, -0.9, 0.1]]))
    assert gated.world.time_ns - began_ns < 30e9
    gated.world.close()
