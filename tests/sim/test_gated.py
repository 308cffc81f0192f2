"""The world behind the gate, in one process: what a nudge does to the scene."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.episode.carry import carry, put_at
from armtune_policies.episode.motion import pushing
from armtune_policies.episode.nudge import scatter, stroke
from armtune_sim.gated import GatedWorld
from armtune_sim.settings import SimParams
from armtune_sim.tasks.bin_sort import TALL_M

GOAL = np.array([0.255, -0.10, 0.035])


def test_stroke_brings_what_a_hand_missed_nearer_to_where_it_is_taken_hold_of() -> None:
    gated = GatedWorld("bin_sort", SimParams(variation=1.0))
    rng, before_m, after_m = np.random.default_rng(5), [], []
    for seed in range(8):
        gated.reset(seed, "forward")
        peg = gated.world.scene.position("peg").copy()
        missed = np.tile(gated.state(), (2, 1))
        missed[:, :3] = peg + np.append(rng.normal(0, 0.01, 2), 0.006)
        gated.follow(pushing(stroke(missed, np.array([1.0, 0.0]), GOAL, rng)))
        gated.home()
        before_m.append(np.linalg.norm((peg - GOAL)[:2]))
        after_m.append(np.linalg.norm((gated.world.scene.position("peg") - GOAL)[:2]))
    assert np.mean(after_m) < np.mean(before_m)
    assert gated.lifts == 0
    gated.world.close()


def test_what_was_put_down_is_scattered_over_where_it_is_taken_hold_of() -> None:
    gated = GatedWorld("bin_sort", SimParams(variation=1.0))
    rng, put_down = np.random.default_rng(5), np.array([0.24, -0.09, 0.035])
    went_m, missed_m = [], []
    for seed in range(8):
        gated.reset(seed, "forward")
        began = gated.world.scene.position("peg").copy()
        goal = put_down + np.append(rng.uniform(-0.06, 0.06, 2), 0.0)
        gated.follow(pushing(scatter(began + rng.normal(0, 0.005, 3), goal, rng)))
        gated.home()
        stands = gated.world.scene.position("peg")
        went_m.append(np.linalg.norm((stands - began)[:2]))
        missed_m.append(np.linalg.norm((stands - goal)[:2]))
    assert np.median(went_m) > 0.03 and np.median(missed_m) < 0.03
    assert gated.lifts == 0
    gated.world.close()


def test_thing_is_carried_to_where_it_is_to_stand_and_a_hand_that_came_up_empty_says_so() -> None:
    gated = GatedWorld("bin_sort", SimParams(variation=1.0))
    rng, missed_m = np.random.default_rng(5), []
    for seed in range(8):
        gated.reset(seed, "forward")
        began = gated.world.scene.position("peg").copy()
        goal = GOAL + np.append(rng.uniform(-0.05, 0.05, 2), 0.0)
        assert put_at(gated.follow(carry(np.array([*(began[:2] + 0.06), GOAL[2]]), goal, rng))) is None
        assert np.linalg.norm((gated.world.scene.position("peg") - began)[:2]) < 0.02
        put_m = put_at(gated.follow(carry(np.array([*began[:2], GOAL[2]]), goal, rng)))
        gated.home()
        assert put_m is not None and np.abs(put_m - goal[:2]).max() < 0.02
        missed_m.append(np.linalg.norm(gated.world.scene.position("peg")[:2] - put_m))
    assert np.median(missed_m) < 0.01
    assert gated.lifts == 0
    gated.world.close()


def test_stroke_out_of_reach_ends() -> None:
    gated = GatedWorld("bin_sort", SimParams())
    gated.reset(0, "forward")
    began_ns = gated.world.time_ns
    gated.follow(pushing(np.array([[0.9, 0.9, 0.1], [0.9, -0.9, 0.1]])))
    assert gated.world.time_ns - began_ns < 30e9
    gated.world.close()


def test_arm_is_lifted_home_when_the_gate_stops_it_only_as_it_is_asked_for_it() -> None:
    gated = GatedWorld("drawer", SimParams())
    gated.reset(0, "forward")
    gated.begin("")
    gated._clock.set_ns(gated.world.time_ns + 1_000_000_000)  # nothing was heard of the joints; nobody has asked yet
    assert not gated.is_stopped
    gated.home()
    assert (gated.lifts, gated.is_stopped) == (1, False)
    gated.begin("next")
    gated.world.close()


@pytest.mark.parametrize("aside_m", [(0.0, 0.0), (0.012, 0.0), (0.0, 0.012), (-0.01, 0.01)])
def test_thing_that_a_hand_comes_down_on_neither_sinks_nor_flies(aside_m: tuple[float, float]) -> None:
    gated = GatedWorld("bin_sort", SimParams())
    gated.reset(0, "forward")
    scene, lowest_m, hand_m = gated.world.scene, [], []
    before = scene.position("peg").copy()
    x, y = before[:2] + aside_m
    gated.home()
    gated.begin("")
    for height_m in (0.12, 0.10, 0.08, 0.06, 0.05, 0.04, 0.034, 0.034, 0.034, 0.06, 0.10, 0.12):
        gap = np.array([x, y, height_m]) - gated.state()[:3]
        for _ in range(8):
            gated.step(np.clip([*gap, 0, 0, 0, 0], gated.spec.low, gated.spec.high))
            lowest_m.append(scene.position("peg")[2])
            hand_m.append(gated.state()[2])
            gap = np.array([x, y, height_m]) - gated.state()[:3]
            if np.linalg.norm(gap) < 0.005 or gated.is_stopped:
                break
    assert min(hand_m) < TALL_M, "the hand came down on it"
    assert min(lowest_m) > 0.012, "as low as a peg that lies"
    assert np.linalg.norm((scene.position("peg") - before)[:2]) < 0.07
    gated.world.close()
