"""A camera that is not the solver's: MuJoCo draws, a warp bends, blur and noise spoil. Shares no projection with it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from armtune_calibration.board import BoardParams
from armtune_calibration.plan import spread
from armtune_calibration.poses import exp, inverse, pose
from armtune_safety.kinematics import Kinematics
from armtune_sim.board import camera_pose, place, tool_from_hand, with_board
from armtune_sim.gated import default_gate
from armtune_sim.render import Renderer
from armtune_sim.scene import FRONT_AIM_M, FRONT_POS_M, look_at
from armtune_sim.settings import SimParams
from armtune_sim.world import World

WIDTH, HEIGHT, FINER = 640, 480, 2
HAND_M = (-0.02, 0.0, 0.05)
"""Where the middle of the board is held, in the tool's frame."""
TICK_RAD = 2 * np.pi / 4096
"""One count of the encoders of a WidowX 250 S: 12 bits a turn (Dynamixel XM430 e-manual)."""


@dataclass(frozen=True)
class Truth:
    """What a trial is to find. ``lens``: fx fy cx cy [px], k1 k2 p1 p2."""

    lens: NDArray[np.float64]
    base_from_camera: NDArray[np.float64]
    tool_from_board: NDArray[np.float64]


class Studio:
    """The simulated table with a board in the hand, seen by a camera with a lens drawn for each trial."""

    def __init__(self, board: BoardParams) -> None:
        self.gate, self.board = default_gate(), board
        self.kinematics = Kinematics(self.gate.robot, self.gate.mjcf)
        still = SimParams(looks=0.0, variation=0.0, distractors=0)
        self.world = World(self.gate.mjcf, "drawer", still, with_board(board, "tool"))  # type: ignore[arg-type]
        self.model, self.data = self.world.model, self.world.data
        self._joints = [self.model.joint(name).qposadr[0] for name in self.gate.robot.joints]
        self._renderer = Renderer(self.model)
        self.hand_from_tool = inverse(tool_from_hand(self.model))

    def begin(self, rng: np.random.Generator) -> Truth:
        """Draw a lens, a place of the camera and one of the board; return them."""
        lens = _lens(rng)
        while _folds(lens):
            lens = _lens(rng)
        facing = Rotation.from_matrix(np.column_stack([[0, -1, 0], [-1, 0, 0], [0, 0, -1]]))
        centre = np.array([*self.board.size_m, 0.0]) / 2
        held = pose(HAND_M, facing) @ exp([*rng.uniform(-0.02, 0.02, 3), *rng.uniform(-0.15, 0.15, 3)])
        tool_from_board = held @ pose(-centre, Rotation.identity())
        place(self.model, self.hand_from_tool @ tool_from_board)
        number = self.model.camera("front").id
        eye, aim = FRONT_POS_M + rng.uniform(-0.05, 0.05, 3), FRONT_AIM_M + rng.uniform(-0.02, 0.02, 3) + [0, 0, 0.1]
        up = np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 1.0])
        self.model.cam_pos[number], self.model.cam_quat[number] = eye, look_at(eye, aim, up)
        self._bend(lens, number)
        mujoco.mj_forward(self.model, self.data)
        return Truth(lens, camera_pose(self.model, self.data, "front"), tool_from_board)

    def _bend(self, lens: NDArray[np.float64], camera: int) -> None:
        """Work out which point of MuJoCo's own picture each part of a pixel sees: Brown's model, inverted."""
        fx, fy, cx, cy, k1, k2, p1, p2 = lens
        u = (np.arange(WIDTH * FINER) + 0.5) / FINER - 0.5
        v = (np.arange(HEIGHT * FINER) + 0.5) / FINER - 0.5
        bent = np.stack(np.meshgrid((u - cx) / fx, (v - cy) / fy), axis=-1)
        straight = bent.copy()
        for _ in range(25):
            x, y = straight[..., 0], straight[..., 1]
            r2 = x * x + y * y
            radial = 1 + k1 * r2 + k2 * r2 * r2
            aside = np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1)
            straight = (bent - aside) / radial[..., None]
        half = 1.02 * max(np.abs(straight[..., 1]).max(), np.abs(straight[..., 0]).max() * HEIGHT / WIDTH)
        self.model.cam_fovy[camera] = np.degrees(2 * np.arctan(half))
        focal = HEIGHT * FINER / 2 / half
        middle = (np.array([WIDTH, HEIGHT]) * FINER - 1) / 2
        self._map = (straight * focal + middle).astype(np.float32)

    def candidates(self, rng: np.random.Generator, count: int) -> list[NDArray[np.float64]]:
        """Return joints (dof,) [rad] of poses spread about home that the arm can take."""
        home = np.array(self.gate.robot.home_rad)
        p, r = self.kinematics.tool_pose(home)
        about = pose(np.add(p, [0.06, 0, 0.06]), Rotation.from_matrix(r) * Rotation.from_rotvec([0, -0.5, 0]))
        found = []
        for wanted in spread(about, count, rng):
            joints = self.kinematics.solve(wanted[:3, 3], wanted[:3, :3], home)
            reached = self.tool_pose(joints)
            if np.linalg.norm(reached[:3, 3] - wanted[:3, 3]) < 0.02 and reached[2, 3] > 0.08:
                found.append(joints)
        return found

    def tool_pose(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``base_from_tool`` (4, 4)."""
        p, r = self.kinematics.tool_pose(joints)
        return pose(p, Rotation.from_matrix(r))

    def photograph(self, joints: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return what the camera sees with the arm there, uint8 (HEIGHT, WIDTH, 3): bent, blurred, noisy."""
        self.data.qpos[self._joints] = joints
        mujoco.mj_forward(self.model, self.data)
        plain = self._renderer.render(self.data, "front", HEIGHT * FINER, WIDTH * FINER)
        bent = cv2.remap(plain, self._map[..., 0], self._map[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        seen = cv2.resize(bent, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
        seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.4, 0.9)) * rng.uniform(0.8, 1.1)
        seen += rng.normal(0.0, rng.uniform(1.5, 4.0), seen.shape)
        return np.clip(np.round(seen), 0, 255).astype(np.uint8)


def _lens(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a lens as ``Truth`` has it."""
    fx = rng.uniform(540, 680)
    middle = [WIDTH / 2 - 0.5 + rng.uniform(-8, 8), HEIGHT / 2 - 0.5 + rng.uniform(-8, 8)]
    bent = [rng.uniform(-0.25, 0.05), rng.uniform(-0.05, 0.12), *rng.uniform(-1e-3, 1e-3, 2)]
    return np.array([fx, fx * rng.uniform(0.997, 1.003), *middle, *bent])


def _folds(lens: NDArray[np.float64]) -> bool:
    """Return whether what is further out is seen further in before a corner of the picture: no lens does that."""
    fx, _, _, _, k1, k2, _, _ = lens
    corner = np.hypot(WIDTH, HEIGHT) / 2 / fx
    straight = np.linspace(0.0, 2.0 * corner, 400)
    bent = straight * (1 + k1 * straight**2 + k2 * straight**4)
    turn = np.argmax(np.diff(bent) <= 0.0) or len(bent) - 1
    return bool(bent[turn] < 1.05 * corner)


__all__ = ["HEIGHT", "TICK_RAD", "WIDTH", "Studio", "Truth"]
