"""Corners of a board in a picture, found by OpenCV's detector and refined to parts of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .board import BoardParams

MIN_CORNERS, LEAST_MARKERS = 8, 5
OTHER_BOARD = 0.02
"""Markers further than this part of the picture's width from where the others put them: it is not this board."""


@dataclass(frozen=True)
class Corners:
    """Corners of one picture: ids (N,) and where they are [px] (N, 2); the first pixel's centre is (0, 0)."""

    ids: NDArray[np.int64]
    px: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


def detect(image: NDArray[np.uint8], board: BoardParams) -> Corners:
    """Return the board's corners in a picture, uint8 (H, W, 3) rgb or (H, W); none where there are too few.

    Raises:
        ValueError: when markers are there, but laid out as on another board.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.CharucoDetector(board.charuco, detectorParams=parameters)
    px, ids, markers, marker_ids = detector.detectBoard(grey)
    if marker_ids is not None and (why := _strange(board, markers, marker_ids.ravel(), grey.shape[1])):
        raise ValueError(
            f"expected the board of {board.columns} x {board.rows} squares with {board.dictionary} markers, got "
            f"another: {why}; name the board that was used"
        )
    if ids is None or len(ids) < MIN_CORNERS:
        return Corners(np.zeros(0, int), np.zeros((0, 2)))
    found = Corners(ids.ravel().astype(int), px.reshape(-1, 2).astype(float))
    spread = np.linalg.svd(
        board.corners_m[found.ids, :2] - board.corners_m[found.ids, :2].mean(axis=0), compute_uv=False
    )
    if not spread[1] > board.square_m:  # all on one line: no pose could be told from them
        return Corners(np.zeros(0, int), np.zeros((0, 2)))
    return found


def _strange(board: BoardParams, markers: Sequence[Any], ids: NDArray[Any], width_px: int) -> str:
    """Return why markers are not this board's, blank when they may be; a single odd one is something else."""
    where = {int(n): corners[:, :2] for n, corners in zip(board.charuco.getIds().ravel(), board.charuco.getObjPoints())}
    known = [(where[int(n)], m.reshape(4, 2)) for n, m in zip(ids, markers) if int(n) in where]
    if len(ids) > 2 * len(known):
        return f"markers {sorted(set(map(int, ids)) - where.keys())[:3]} are seen that are not on it"
    if len(known) < LEAST_MARKERS:
        return ""
    flat, seen = (np.concatenate(side).astype(float) for side in zip(*known))
    plane, _ = cv2.findHomography(flat, seen, cv2.LMEDS)
    if plane is None:
        return "its markers do not lie in a plane"
    at = np.column_stack([flat, np.ones(len(flat))]) @ plane.T
    off_px = np.median(np.linalg.norm(at[:, :2] / at[:, 2:] - seen, axis=1))
    return "" if off_px < OTHER_BOARD * width_px else "its markers do not lie as they should"


def sharpness(image: NDArray[np.uint8]) -> float:
    """Return the variance of a picture's Laplacian: blurred ones have little."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())
