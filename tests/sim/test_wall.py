from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from armtune_policies.contract.paths import config_root
from armtune_sim.settings import SimParams
from armtune_sim.world import World

ARM = config_root() / "robot" / "wx250s.xml"
FULL_RAD_S = 2.0
"""The waist's speed for 0.4 m/s at the tool, 0.2 m out."""


@pytest.fixture(scope="module")
def worlds() -> Iterator[tuple[World, World]]:
    """The same world without and with what faults need."""
    both = World(ARM, "bin_sort", SimParams()), World(ARM, "bin_sort", SimParams(faults=True))
    yield both
    for world in both:
        world.close()


def turn(world: World, start: np.ndarray, ticks: range, speed_rad_s: float = FULL_RAD_S) -> None:
    for tick in ticks:
        world.tick(np.append(start[0] + speed_rad_s * 0.01 * tick, start[1:]))


def test_world_is_the_same_to_the_last_bit_when_the_wall_is_away(worlds: tuple[World, World]) -> None:
    seen = []
    for world in worlds:
        world.reset(5, "forward")
        turn(world, world.joints_measured(), range(40))
        seen.append((world.data.qpos.copy(), world.data.qvel.copy(), world.render("front"), world.render("wrist")))
    for without, with_it in zip(*seen):
        np.testing.assert_array_equal(without, with_it)


@pytest.mark.parametrize("way", (-1.0, 1.0))
def test_arm_is_stopped_by_the_wall_and_goes_on_when_it_is_taken_away(worlds: tuple[World, World], way: float) -> None:
    world = worlds[1]
    world.reset(5, "forward")
    start = world.joints_measured()
    turn(world, start, range(20), way * FULL_RAD_S)
    assert world.wall is not None
    world.wall.put()
    before = world.joints_measured()[0]
    turn(world, start, range(20, 60), way * FULL_RAD_S)
    assert abs(world.joints_measured()[0] - before) < 0.25  # of 0.8 rad asked for
    assert abs(world.velocities_measured()[0]) < 0.05
    world.wall.take_away()
    turn(world, start, range(60, 61), way * FULL_RAD_S)
    for _ in range(60):
        world.tick(np.append(start[0] + way * FULL_RAD_S * 0.6, start[1:]))
    assert world.joints_measured()[0] == pytest.approx(start[0] + way * FULL_RAD_S * 0.6, abs=0.01)


def test_wall_stands_where_it_is_asked_for_and_touches_nothing_when_the_arm_rests(worlds: tuple[World, World]) -> None:
    world = worlds[1]
    world.reset(5, "forward")
    tool_m, rest = world.data.site("tool0").xpos.copy(), world.joints_measured()
    assert world.wall is not None
    for ahead_m in (0.0, 0.12):
        middle_m = world.wall.put(ahead_m)
        assert middle_m[1] == pytest.approx(tool_m[1], abs=1e-6)
        if ahead_m:
            assert middle_m[0] - 0.02 - tool_m[0] == pytest.approx(ahead_m)
        for _ in range(20):
            world.tick(rest)
        np.testing.assert_allclose(world.joints_measured(), rest, atol=1e-3)


def test_wall_is_seen_when_it_stands_there_and_gone_in_a_new_scene(worlds: tuple[World, World]) -> None:
    world = worlds[1]
    world.reset(5, "forward")
    clear = world.render("front")
    assert world.wall is not None
    world.wall.put()
    assert (world.render("front") != clear).mean() > 0.01
    world.reset(5, "forward")
    np.testing.assert_array_equal(world.render("front"), clear)
