"""The table, the arm on it, light and cameras; a task adds its objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np

from . import wall
from .shapes import BOX, CAPSULE, CYLINDER, PLANE, SEEN_ONLY, SPHERE, box, dam, paint
from .tasks import Task

ARENA_X_M, ARENA_Y_M = (0.13, 0.40), (-0.22, 0.22)
"""Where things are kept: a rim with sloping sides goes around, so that practice loses nothing."""
RIM_M = 0.018
FRONT_POS_M, FRONT_AIM_M, FRONT_FOVY_DEG = (0.74, -0.11, 0.50), (0.215, 0.0, 0.055), 40.0
DISTRACTORS = ("distractor_0", "distractor_1", "distractor_2", "distractor_3")


def compile_scene(
    robot_xml: Path, task: Task, with_wall: bool = False, add: Callable[[mujoco.MjSpec], None] | None = None
) -> tuple[mujoco.MjModel, np.ndarray]:
    """Return the model of arm, table and the task's objects, and the arm's home ``qpos``.

    ``with_wall``: a wall that can be put in the arm's way is there, too, far away. ``add`` puts more into the scene.

    Raises:
        FileNotFoundError: the description of the arm is not there.
        ValueError: it cannot be read, or lacks key ``home``, site ``tool0`` or numeric ``max_velocity``.
    """
    if not robot_xml.is_file():
        raise FileNotFoundError(f"robot description {robot_xml}: no such file; set robot.mjcf to one beside its config")
    spec = mujoco.MjSpec.from_file(str(robot_xml))
    if spec.numeric("max_velocity") is None:
        raise ValueError(
            f"robot description {robot_xml}: expected motors and a numeric 'max_velocity', found none; "
            "this arm is not simulated, take robot=wx250s"
        )
    home = _take_home(spec, robot_xml)
    _draw_cheaply(spec)
    _table(spec)
    _cameras(spec, robot_xml)
    task.build(spec)
    if with_wall:
        wall.build(spec)
    if add:
        add(spec)
    return spec.compile(), home


def _take_home(spec: mujoco.MjSpec, robot_xml: Path) -> np.ndarray:
    """Return the arm's home and remove its keys: they do not fit once there are objects."""
    keys = {key.name: np.array(key.qpos) for key in spec.keys}
    if "home" not in keys:
        raise ValueError(f"robot description {robot_xml}: expected a key named 'home', found {sorted(keys) or 'none'}")
    for key in list(spec.keys):
        spec.delete(key)
    return keys["home"]


def _draw_cheaply(spec: mujoco.MjSpec) -> None:
    """Shadows and multisampling are nearly the whole cost of a frame; shadows are kept for people."""
    spec.visual.quality.shadowsize = 1024
    spec.visual.quality.offsamples = 0
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 640, 480
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 6.0
    spec.stat.extent, spec.stat.center = 0.8, [0.25, 0, 0.1]
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.38] * 3, [0.30] * 3
    spec.visual.headlight.specular = [0.05] * 3


def _table(spec: mujoco.MjSpec) -> None:
    world = spec.worldbody
    paint(spec, table=(0.74, 0.62, 0.47), rim=(0.57, 0.45, 0.32), mat=(0.83, 0.83, 0.80), floor=(0.36, 0.39, 0.43))
    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=64, height=384)
    sky.builtin, sky.rgb1, sky.rgb2 = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT, [0.75, 0.80, 0.86], [0.30, 0.34, 0.40]
    world.add_geom(name="floor", type=PLANE, pos=[0, 0, -0.75], size=[4, 4, 0.1], material="floor", **SEEN_ONLY)
    box(world, "table", (-0.22, -0.46, -0.04), (0.56, 0.46, 0.0), name="table", friction=[0.8, 0.005, 0.0002])
    (x0, x1), (y0, y1) = ARENA_X_M, ARENA_Y_M
    centre, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    # A cloth of two tenths of a millimetre: seen, not felt.
    mat = [half[0] + 0.002, half[1] + 0.002, 0.0001]
    world.add_geom(name="mat", type=BOX, pos=[*centre, 0.0001], size=mat, material="mat", **SEEN_ONLY)
    frame = world.add_body(name="rim", pos=[*centre, 0])
    rings = [(half[0] + d, half[1] + d) for d in (0.0, 0.014, 0.020, 0.026)]
    dam(spec, frame, "rim", "rim", RIM_M, rings)
    sun = world.add_light(name="lamp", pos=[0.5, -0.5, 1.3], dir=[-0.3, 0.45, -1.2], castshadow=True)
    sun.diffuse, sun.specular, sun.ambient = [0.55] * 3, [0.15] * 3, [0.0] * 3
    _distractors(spec)


def _distractors(spec: mujoco.MjSpec) -> None:
    shapes = (BOX, CYLINDER, SPHERE, CAPSULE)
    for name, shape in zip(DISTRACTORS, shapes):
        paint(spec, **{name: (0.5, 0.5, 0.5)})
        body = spec.worldbody.add_body(name=name, pos=[0, 0, -0.5])
        body.add_geom(name=name, type=shape, size=[0.02, 0.02, 0.02], material=name, **SEEN_ONLY)


def _cameras(spec: mujoco.MjSpec, robot_xml: Path) -> None:
    """Add ``front``, like the paper's one third-person camera, and ``wrist``."""
    front = spec.worldbody.add_camera(name="front", pos=FRONT_POS_M, fovy=FRONT_FOVY_DEG)
    front.quat = look_at(np.array(FRONT_POS_M), np.array(FRONT_AIM_M))
    tool = spec.site("tool0")
    if tool is None:
        raise ValueError(f"robot description {robot_xml}: expected a site named 'tool0', found none")
    wrist = tool.parent.add_camera(name="wrist", pos=[0.0, 0, 0.08], fovy=66)
    wrist.quat = look_at(np.array([0.0, 0, 0.08]), np.array([0.10, 0, 0.0]), up=np.array([0, 0, 1.0]))


def look_at(pos_m: np.ndarray, aim_m: np.ndarray, up: np.ndarray | None = None) -> np.ndarray:
    """Return the quaternion (w x y z, as MuJoCo wants it) of a camera at ``pos_m`` that sees ``aim_m``."""
    back = (pos_m - aim_m) / np.linalg.norm(pos_m - aim_m)
    right = np.cross([0.0, 0.0, 1.0] if up is None else up, back)
    right /= np.linalg.norm(right)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([right, np.cross(back, right), back]).ravel())
    return quat
