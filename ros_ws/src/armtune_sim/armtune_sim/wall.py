"""Something solid that can be put in the arm's way: the injected fault ``arm.wall``. Pure."""

from __future__ import annotations

import itertools

import mujoco
import numpy as np
from numpy.typing import NDArray

from .shapes import BOX

Array = NDArray[np.float64]
HALF_M = (0.02, 0.25, 0.15)
"""Half its thickness, width and height [m]."""
AWAY_M = (0.15, 0.0, -0.25)
"""Under the table: unseen, and within what MuJoCo takes for the size of the scene."""
_OVER_TOOL_M = (0.20, 0.03)
"""How far it stands up above the tool; the second where the forearm is in its place, behind the tool."""
_CLEAR_M, _NEAR_M = 0.005, 0.08
_RESTING_M_S = 0.01
_CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
_ARM_ONLY = {"contype": 0, "conaffinity": 2}


def build(spec: mujoco.MjSpec) -> None:
    """Add the wall, far away. It stops the arm; it pushes nothing else about.

    No material: those get a random colour each, and the scene must look as it does without.
    """
    body = spec.worldbody.add_body(name="wall", mocap=True, pos=AWAY_M)
    body.add_geom(
        name="wall", type=BOX, size=HALF_M, rgba=[0.55, 0.20, 0.18, 1.0], solref=[0.005, 1.0],
        solimp=[0.95, 0.99, 0.001, 0.5, 2.0], **_ARM_ONLY,
    )  # fmt: skip


class Wall:
    """The wall of a compiled scene.

    Raises:
        KeyError: when the scene was made without one.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, tool: str = "tool0") -> None:
        self._model, self._data = model, data
        self._site, self._geom = model.site(tool).id, model.geom("wall").id
        self._mocap = int(model.body("wall").mocapid[0])
        self._arm = [i for i in range(model.ngeom) if model.geom_contype[i] & _ARM_ONLY["conaffinity"]]

    def put(self, ahead_m: float = 0.0) -> Array:
        """Stand it in front of the tool, upright; return where its middle is [m], shape (3,).

        Args:
            ahead_m: From the tool to its face along base x; 0: as near as there is room in the
                tool's direction of motion over the table, or along x when it rests.
        """
        tool_m = self._data.site_xpos[self._site].copy()
        way = np.array([1.0, 0.0]) if ahead_m else self._direction()
        for over_m in _OVER_TOOL_M:
            gap_m = ahead_m or self._reach_m(tool_m, way, over_m) + _CLEAR_M
            if gap_m <= _NEAR_M or ahead_m:
                break
        middle = tool_m + np.append(way * (gap_m + HALF_M[0]), over_m - HALF_M[2])
        yaw = np.arctan2(way[1], way[0])
        self._data.mocap_pos[self._mocap] = middle
        self._data.mocap_quat[self._mocap] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        mujoco.mj_kinematics(self._model, self._data)
        return middle

    def take_away(self) -> None:
        """Put it where nothing is."""
        self._data.mocap_pos[self._mocap] = AWAY_M
        mujoco.mj_kinematics(self._model, self._data)

    def _direction(self) -> Array:
        """The way the tool goes over the table, a unit vector (2,); x when it rests."""
        jacobian = np.zeros((3, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, jacobian, None, self._site)
        velocity = (jacobian @ self._data.qvel)[:2]
        speed = float(np.linalg.norm(velocity))
        return velocity / speed if speed > _RESTING_M_S else np.array([1.0, 0.0])

    def _reach_m(self, tool_m: Array, way: Array, over_m: float) -> float:
        """How far the arm reaches ahead of the tool [m] where the wall would stand; by the arm's bounding boxes."""
        wall_from_base = np.array([[way[0], way[1], 0.0], [-way[1], way[0], 0.0], [0.0, 0.0, 1.0]])
        low, high = [-HALF_M[1], over_m - 2 * HALF_M[2]], [HALF_M[1], over_m]
        furthest_m = 0.0
        for i in self._arm:
            box = self._model.geom_aabb[i]
            corners = (box[:3] + _CORNERS * box[3:]) @ self._data.geom_xmat[i].reshape(3, 3).T + self._data.geom_xpos[i]
            seen = (corners - tool_m) @ wall_from_base.T
            if (seen[:, 1:].max(axis=0) > low).all() and (seen[:, 1:].min(axis=0) < high).all():
                furthest_m = max(furthest_m, float(seen[:, 0].max()))
        return furthest_m
