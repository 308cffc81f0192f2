"""A calibration board in the scene: a thin plate with the board's own picture on it, seen and not felt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from armtune_calibration.board import BoardParams

from .shapes import MESH, SEEN_ONLY

Mount = Literal["tool", "base"]
BOARD = "calibration_board"
SQUARE_PX, MARGIN, THICK_M = 96, 0.5, 0.002
"""Texture pixels a square, white margin around the board in squares, thickness of the plate."""
_OPTICAL = np.diag([1.0, -1.0, -1.0])
"""MuJoCo's cameras look along -z with y up."""


def with_board(board: BoardParams, mount: Mount) -> Callable[[mujoco.MjSpec], None]:
    """Return what adds a board to a scene: in the hand ("tool") or on the table ("base"); ``place`` moves it."""

    def add(spec: mujoco.MjSpec) -> None:
        picture = np.pad(board.picture(SQUARE_PX), round(MARGIN * SQUARE_PX), constant_values=255)
        texture = spec.add_texture(name=BOARD, type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3)
        texture.width, texture.height = picture.shape[1], picture.shape[0]
        texture.data = np.repeat(picture[:, :, None], 3, axis=2).tobytes()
        material = spec.add_material(name=BOARD, specular=0.05, shininess=0.1, emission=0.35)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = BOARD
        parent = spec.site("tool0").parent if mount == "tool" else spec.worldbody
        parent.add_body(name=BOARD).add_geom(type=MESH, meshname=_plate(spec, board), material=BOARD, **SEEN_ONLY)

    return add


def _plate(spec: mujoco.MjSpec, board: BoardParams) -> str:
    """Add the plate's mesh: the picture fills the face towards -z; the board's origin is the mesh's."""
    margin = MARGIN * board.square_m
    x0, y0, (x1, y1) = -margin, -margin, (side + margin for side in board.size_m)
    front = [(x0, y0, 0.0), (x1, y0, 0.0), (x1, y1, 0.0), (x0, y1, 0.0)]
    vertices = np.array([*front, *((x, y, THICK_M) for x, y, _ in front)])
    faces = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7), (0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7),
             (2, 7, 6), (3, 0, 4), (3, 4, 7)]  # fmt: skip
    paper = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), *[(0.0, 0.0)] * 4]
    spec.add_mesh(
        name=BOARD, uservert=vertices.ravel(), userface=np.array(faces).ravel(), usertexcoord=np.array(paper).ravel()
    )
    return BOARD


def place(model: mujoco.MjModel, parent_from_board: NDArray[np.float64]) -> None:
    """Put the board at a transform (4, 4) in its parent's frame: the body that holds ``tool0``, or the base."""
    body = model.body(BOARD).id
    model.body_pos[body] = parent_from_board[:3, 3]
    mujoco.mju_mat2Quat(model.body_quat[body], np.ascontiguousarray(parent_from_board[:3, :3]).ravel())


def tool_from_hand(model: mujoco.MjModel) -> NDArray[np.float64]:
    """Return the transform (4, 4) from the body that holds ``tool0`` into ``tool0``'s frame."""
    site = model.site("tool0").id
    turned = np.empty(9)
    mujoco.mju_quat2Mat(turned, model.site_quat[site])
    made = np.eye(4)
    made[:3, :3] = turned.reshape(3, 3).T
    made[:3, 3] = -made[:3, :3] @ model.site_pos[site]
    return made


def camera_pose(model: mujoco.MjModel, data: mujoco.MjData, camera: str) -> NDArray[np.float64]:
    """Return ``base_from_camera`` (4, 4) of the optical frame, where the data are: the truth."""
    number = model.camera(camera).id
    made = np.eye(4)
    made[:3, :3] = data.cam_xmat[number].reshape(3, 3) @ _OPTICAL
    made[:3, 3] = data.cam_xpos[number]
    return made
