"""Another table: one thing is changed, in every scene alike, and nothing of it adds up from scene to scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from armtune_policies.contract import DIRECTIONS
from armtune_policies.contract.paths import config_root
from armtune_sim.settings import SHIFTS as NAMES
from armtune_sim.settings import SimParams
from armtune_sim.shift import CAMERA_M, NONE, SHIFTS
from armtune_sim.world import World

ARM = config_root() / "robot" / "wx250s.xml"
FIELDS = {
    "camera": ("cam_pos",), "object": ("mat_rgba", "body_mass", "body_inertia"),
    "friction": ("geom_friction", "dof_frictionloss"), "light": ("light_diffuse",), NONE: (),
}  # fmt: skip
ALL = sorted({field for fields in FIELDS.values() for field in fields} | {"geom_size", "cam_quat", "light_pos"})


def table(world: World, seed: int) -> dict[str, np.ndarray]:
    world.reset(seed, "forward")
    return {field: getattr(world.model, field).copy() for field in ALL}


def test_every_shift_there_is_can_be_asked_for() -> None:
    assert set(NAMES) == set(SHIFTS) == set(FIELDS)


@pytest.mark.parametrize("task", ["bin_sort", "drawer", "lid"])
def test_a_shift_changes_its_own_part_of_every_scene_and_no_other(task: str) -> None:
    params = SimParams(variation=1.0, looks=1.0)
    plain = [table(World(ARM, task, params), seed) for seed in (3, 4)]
    for name, fields in FIELDS.items():
        world = World(ARM, task, replace(params, shift=name))
        first, second, again = (table(world, seed) for seed in (3, 4, 3))
        for field in ALL:
            np.testing.assert_array_equal(first[field], again[field], err_msg=f"{name} adds up in {field}")
            is_same = np.array_equal(first[field], plain[0][field]) and np.array_equal(second[field], plain[1][field])
            assert is_same == (field not in fields) or field == "dof_frictionloss", (name, field)
        for direction in DIRECTIONS:
            world.reset(3, direction)
            assert not world.success(direction)
        if name == "camera":
            moved = (
                first["cam_pos"][world.model.camera("front").id] - plain[0]["cam_pos"][world.model.camera("front").id]
            )
            np.testing.assert_allclose(moved, CAMERA_M)
