"""A camera's lens from views of a board: pinhole with Brown's distortion, as ``CameraInfo`` has it (plumb_bob)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .board import BoardParams
from .coverage import coverage
from .detect import Corners
from .poses import Array, exp

MIN_VIEWS, MIN_CELLS = 5, 0.25
OUTLIER = 3.0
"""A view whose error is so many times the usual one is left out."""
NAMES = ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "p1", "p2")
FLAGS = cv2.CALIB_FIX_K3  # a board seldom reaches where the sixth power shows; left free it spoils k1 and k2


@dataclass(frozen=True)
class Lens:
    """``values`` (8,) in the order of ``NAMES``, and their covariance (8, 8)."""

    values: Array
    covariance: Array
    size_px: tuple[int, int]
    rms_px: float
    """Of a corner's distance from where the lens says it is."""

    @property
    def sd(self) -> Array:
        """Standard deviations (8,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def matrix(self) -> Array:
        """The camera matrix (3, 3)."""
        fx, fy, cx, cy = self.values[:4]
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    @property
    def distortion(self) -> Array:
        """k1 k2 p1 p2 k3, (5,)."""
        return np.append(self.values[4:8], 0.0)

    def project(self, points_m: NDArray[np.float64]) -> Array:
        """Return where points in the camera's frame [m] (N, 3) are seen [px] (N, 2)."""
        seen, _ = cv2.projectPoints(points_m, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        return np.asarray(seen, float).reshape(-1, 2)

    def board_pose(self, view: Corners, board: BoardParams) -> Array:
        """Return ``camera_from_board`` of one view by itself."""
        points = board.corners_m[view.ids]
        good, rotation, position = cv2.solvePnP(points, view.px, self.matrix, self.distortion, flags=cv2.SOLVEPNP_IPPE)
        if not good:
            raise ValueError("a view's corners give no pose of the board; leave that view out")
        rotation, position = cv2.solvePnPRefineLM(points, view.px, self.matrix, self.distortion, rotation, position)
        return exp(np.concatenate([position.ravel(), rotation.ravel()]))


@dataclass(frozen=True)
class Solved:
    """A lens, and per view kept: which one it is, and ``camera_from_board``."""

    lens: Lens
    kept: tuple[int, ...]
    poses: tuple[Array, ...]


def solve_lens(views: Sequence[Corners], board: BoardParams, size_px: tuple[int, int]) -> Solved:
    """Return the lens that explains views of a board, without those that fit much worse than the others.

    Zhang's method and Levenberg-Marquardt by OpenCV's ``calibrateCameraExtended``.

    Raises:
        ValueError: when the views cannot say: too few, all alike, or covering too little of the picture.
    """
    kept, unknown = tuple(range(len(views))), cast(Any, None)
    _can_say(views, board, size_px)
    while True:
        points = [board.corners_m[views[i].ids].astype(np.float32) for i in kept]
        seen = [views[i].px.astype(np.float32) for i in kept]
        rms, k, d, turns, places, _, _, errors = cv2.calibrateCameraExtended(
            points, seen, size_px, unknown, unknown, flags=FLAGS
        )
        off = errors.ravel()
        worst = int(np.argmax(off))
        if off[worst] <= OUTLIER * np.median(off) or len(kept) <= MIN_VIEWS:
            break
        kept = tuple(view for i, view in enumerate(kept) if i != worst)
    values = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2], *d.ravel()[:4]])
    if not (np.isfinite(values).all() and (values[:2] > 0).all()):
        raise ValueError("the views fit no lens; take more, with the board tilted by 30 degrees to several sides")
    lens = Lens(values, np.eye(len(NAMES)), size_px, float(rms))
    sixes = [np.concatenate([t.ravel(), r.ravel()]) for r, t in zip(turns, places)]
    lens = replace(lens, covariance=_covariance([views[i] for i in kept], sixes, lens, board))
    return Solved(lens, kept, tuple(exp(six) for six in sixes))


def _covariance(views: Sequence[Corners], sixes: Sequence[Array], lens: Lens, board: BoardParams) -> Array:
    """Return what the views leave unsure of the lens (8, 8), each view's pose being unknown, too (Schur complement)."""
    information, squares, freedom = np.zeros((len(NAMES), len(NAMES))), 0.0, -float(len(NAMES))
    for view, six in zip(views, sixes):
        seen, by = cv2.projectPoints(board.corners_m[view.ids], six[3:], six[:3], lens.matrix, lens.distortion)
        of_pose, of_lens = by[:, :6], by[:, 6 : 6 + len(NAMES)]
        of_lens = of_lens - of_pose @ np.linalg.lstsq(of_pose, of_lens, rcond=None)[0]
        information += of_lens.T @ of_lens
        squares += float(((seen.reshape(-1, 2) - view.px) ** 2).sum())
        freedom += 2 * len(view) - 6
    return np.asarray(np.linalg.inv(information) * squares / max(freedom, 1.0), float)


def _can_say(views: Sequence[Corners], board: BoardParams, size_px: tuple[int, int]) -> None:
    if len(views) < MIN_VIEWS:
        raise ValueError(f"expected at least {MIN_VIEWS} views that show the board, got {len(views)}; take more")
    seen = coverage(views, board, size_px)
    if not seen.share >= MIN_CELLS:
        raise ValueError(
            f"expected corners in at least {100 * MIN_CELLS:.0f} % of the picture, got {100 * seen.share:.0f} %; "
            f"show {(*seen.lacks, 'other places')[0]}"
        )
    if not seen.tilted:
        raise ValueError(
            "expected views of the board tilted to several sides, got flat ones only: they cannot tell focal length "
            "from distance; tilt the board, or the camera, by 30 degrees or more"
        )
