"""A simulated arm that shows a camera the board from well-spread poses, each reached through the gate. No ROS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from armtune_calibration.board import BoardParams
from armtune_calibration.plan import spread
from armtune_calibration.poses import Array, inverse, pose
from armtune_safety.settings import GateParams

from .board import Mount, camera_pose, place, tool_from_hand, with_board
from .gated import GatedWorld
from .settings import SimParams
from .world import World

_REACH_S, _REST_TICKS = 8.0, 40
_NEAR_M, _LEAST_HEIGHT_M = 0.03, 0.10
_CENTRE = {"tool": (-0.02, 0.0, 0.05), "base": (0.30, 0.0, 0.06)}
"""Middle of the board: in the hand, before the fingers' upper side; or lying above the cabinet."""
_FACING = {
    "tool": np.column_stack([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
    "base": np.column_stack([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
}
_ABOUT = {"tool": ((0.06, 0.0, 0.06), (0.0, -0.5, 0.0)), "base": ((0.0, 0.0, 0.10), (0.0, -0.3, 0.0))}
"""Where poses are spread about: from home, a step [m] and a turn in the tool's frame [rad]."""


@dataclass(frozen=True)
class Shot:
    """What a camera and the encoders say with the arm at rest; joints (dof,) [rad], speeds likewise [rad/s]."""

    picture: NDArray[np.uint8]
    stamp_ns: int
    joints: NDArray[np.float64]
    speeds: NDArray[np.float64]


class GuidedArm:
    """Board and camera on opposite sides: the board in the hand of an arm beside the camera, or under the one on it.

    Args:
        camera_on: "base" for a camera beside the arm, "tool" for one on it; the board is on the other.
    """

    def __init__(self, gate: GateParams, board: BoardParams, camera_on: Mount, camera: str) -> None:
        self._on: Mount = "tool" if camera_on == "base" else "base"
        still = SimParams(looks=0.0, variation=0.0, distractors=0)
        world = World(Path(gate.mjcf), "drawer", still, with_board(board, self._on))
        self.gated, self._camera, self._gate = GatedWorld("drawer", gate=gate, world=world), camera, gate
        centre = np.array([*board.size_m, 0.0]) / 2
        held = pose(_CENTRE[self._on], Rotation.from_matrix(_FACING[self._on])) @ pose(-centre, Rotation.identity())
        place(world.model, inverse(tool_from_hand(world.model)) @ held if self._on == "tool" else held)
        self.gated.reset(0, "forward")

    def shots(self, count: int, rng: np.random.Generator) -> Iterator[Shot]:
        """Go to ``count`` poses one after the other and yield a shot at each that was reached."""
        home, kinematics = np.array(self._gate.robot.home_rad), self.gated.kinematics
        step, turn = _ABOUT[self._on]
        p, r = kinematics.tool_pose(home)
        around = pose(p + np.array(step), Rotation.from_matrix(r) * Rotation.from_rotvec(turn))
        for wanted in spread(around, count, rng):
            joints = kinematics.solve(wanted[:3, 3], wanted[:3, :3], home)
            reached, _ = kinematics.tool_pose(joints)
            if np.linalg.norm(reached - wanted[:3, 3]) > _NEAR_M or reached[2] < _LEAST_HEIGHT_M:
                continue
            self.gated.begin("")
            if not self.gated.reach(np.append(joints, self._gate.robot.home_gripper), _REACH_S):
                if self.gated.is_stopped:
                    self.gated.home()
                continue
            yield self._shot()

    def truth(self) -> Array:
        """Return where the camera is (4, 4): in the base frame, or the tool's for one on the tool."""
        world = self.gated.world
        seen = camera_pose(world.model, world.data, self._camera)
        if self._on == "tool":
            return seen
        p, r = self.gated.kinematics.tool_pose(world.joints_measured()[:-1])
        return inverse(pose(p, Rotation.from_matrix(r))) @ seen

    def close(self) -> None:
        self.gated.world.close()

    def _shot(self) -> Shot:
        world = self.gated.world
        held = world.joints_measured()
        for _ in range(_REST_TICKS):
            world.tick(held)
        picture = world.render(self._camera)
        return Shot(picture, world.time_ns, world.joints_measured()[:-1], world.velocities_measured()[:-1])
