from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from armtune_policies.contract import DIRECTIONS, ConfigError
from armtune_policies.contract.paths import config_root
from armtune_sim.scene import DISTRACTORS
from armtune_sim.settings import SimParams
from armtune_sim.tasks import TASKS
from armtune_sim.world import TICK_NS, World

ARM = config_root() / "robot" / "wx250s.xml"


@pytest.fixture(params=TASKS)
def world(request: pytest.FixtureRequest, gated) -> World:
    return gated(request.param).world


def drive(world: World, ticks: int = 60) -> np.ndarray:
    start = world.joints_measured()
    for tick in range(ticks):
        setpoint = start + 0.2 * np.sin(tick / 20) * np.array([1, 1, -1, 0, 0.5, 1, 0])
        world.tick(np.clip(setpoint, -3, 3))
    return world.data.qpos.copy()


def test_world_ends_the_same_when_the_seed_and_the_setpoints_are(world: World) -> None:
    ends = []
    for seed in (5, 6, 5):
        world.reset(seed, "forward")
        ends.append((drive(world), world.render("front")))
    for first, again in zip(ends[0], ends[2]):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(ends[0][0], ends[1][0])
    assert not np.array_equal(ends[0][1], ends[1][1])


def test_motion_is_the_same_when_nobody_looks(world: World) -> None:
    world.reset(1, "backward")
    unseen = drive(world)
    world.reset(1, "backward")
    for _ in range(3):
        world.render("front")
    np.testing.assert_array_equal(drive(world), unseen)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_direction_is_still_to_be_done_when_its_scene_is_new(world: World, direction: str) -> None:
    for seed in range(10):
        world.reset(seed, direction)
        assert not world.success(direction)
        other = "backward" if direction == "forward" else "forward"
        assert world.success(other), f"seed {seed}: the un-task should be done"


def test_nothing_moves_when_the_arm_stays_at_home(world: World) -> None:
    world.reset(3, "forward")
    before = {name: pose.copy() for name, pose in world.truth().poses.items()}
    for _ in range(100):
        world.tick(world.joints_measured())
    for name, pose in world.truth().poses.items():
        assert np.linalg.norm(pose[:3] - before[name][:3]) < 0.003, name
    assert world.time_ns == 100 * TICK_NS


@pytest.mark.parametrize(("camera", "size"), [("front", (480, 640)), ("wrist", (480, 640)), ("front", (96, 96))])
def test_frame_has_the_size_asked_for_when_drawn(world: World, camera: str, size: tuple[int, int]) -> None:
    frame = world.render(camera, *size)
    assert frame.shape == (*size, 3)
    assert frame.dtype == np.uint8
    assert frame.std() > 10


def test_frame_grows_when_more_is_asked_for_than_the_buffer_holds(gated) -> None:
    assert gated("drawer").world.render("front", 600, 800).shape == (600, 800, 3)


def test_world_refuses_when_a_setpoint_is_not_finite_or_misshapen(gated) -> None:
    world = gated("drawer").world
    world.reset(0, "forward")
    before = world.data.qpos.copy()
    for bad in ([np.nan] * 7, [0.0] * 6, [np.inf] + [0.0] * 6):
        with pytest.raises(ValueError, match="expected 7 finite numbers"):
            world.tick(bad)
    np.testing.assert_array_equal(world.data.qpos, before)


def test_names_are_listed_when_task_or_camera_is_unknown(gated) -> None:
    with pytest.raises(ConfigError, match="drawer, bin_sort, lid; got 'laundry'"):
        World(ARM, "laundry", SimParams())
    with pytest.raises(ValueError, match="known: front, wrist"):
        gated("drawer").world.render("back")


def test_scene_is_refused_when_the_description_is_missing_or_lacks_a_part(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        World(tmp_path / "none.xml", "drawer", SimParams())
    with pytest.raises(ValueError, match="this arm is not simulated, take robot=wx250s"):
        World(ARM.with_name("so101.xml"), "drawer", SimParams())
    parts = (("numeric", "max_velocity"), ("key", "home"), ("site", "tool0"))
    for kind, name in parts:
        file = tmp_path / "arm.xml"
        file.write_text(ARM.read_text().replace(f'<{kind} name="{name}"', f'<{kind} name="other"'))
        with pytest.raises(ValueError, match=name):
            World(file, "drawer", SimParams())


def test_scene_is_always_the_same_when_variation_and_looks_are_off() -> None:
    world = World(ARM, "bin_sort", SimParams(variation=0.0, looks=0.0, distractors=0))
    ends = []
    for seed in (1, 2):
        world.reset(seed, "forward")
        ends.append(world.data.qpos.copy())
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("looks", [0.0, 0.5])
def test_what_stands_about_stays_on_one_labs_table(looks: float) -> None:
    world = World(ARM, "bin_sort", SimParams(looks=looks))
    about = []
    for seed in (1, 2):
        world.reset(seed, "forward")
        about.append(np.stack([world.model.body(name).pos for name in DISTRACTORS]))
    assert np.array_equal(*about) == (looks == 0.0)


def test_furniture_stays_and_what_is_loose_is_laid_anew_on_one_table(world: World) -> None:
    lasting = (
        "body_pos",
        "body_quat",
        "body_mass",
        "dof_frictionloss",
        "geom_friction",
        "mat_rgba",
        "cam_pos",
        "light_pos",
    )
    stands, loose = [], []
    for table, seed, way in ((5, 1, "forward"), (5, 2, "backward"), (6, 2, "backward"), (5, 3, "forward")):
        one = World(ARM, world.task.name, SimParams(table=table))
        one.reset(seed, way)
        stands.append(np.concatenate([getattr(one.model, name).ravel() for name in lasting]))
        loose.append(one.data.qpos.copy())
    np.testing.assert_array_equal(stands[0], stands[1])
    assert not np.array_equal(loose[0], loose[3]), "laid anew"
    assert not np.array_equal(stands[1][: one.model.body_pos.size], stands[2][: one.model.body_pos.size]), (
        "another table"
    )


def test_peg_stands_up_again_when_it_is_laid_down(gated) -> None:
    world = gated("bin_sort").world
    world.reset(0, "forward")
    xy = world.scene.position("peg")[:2]
    world.scene.set_joint("peg", [*xy, 0.02, np.cos(np.pi / 4), np.sin(np.pi / 4), 0, 0])
    home = world.joints_measured()
    for _ in range(300):
        world.tick(home)
    assert world.scene.rotation("peg")[2, 2] > 0.95


def test_arm_is_dense_and_fast_when_compiled(world: World) -> None:
    assert world.model.opt.jacobian == mujoco.mjtJacobian.mjJAC_DENSE
    assert world.model.opt.timestep * 5 == pytest.approx(TICK_NS / 1e9)
