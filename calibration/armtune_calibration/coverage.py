"""How well a set of views covers what a calibration needs, and what to show it next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .board import BoardParams
from .detect import Corners

CELLS = (6, 8)
ENOUGH_VIEWS, ENOUGH_CELLS, ENOUGH_TILTED, ENOUGH_NEARER = 10, 0.7, 4, 1.3
TILTED = 0.15
"""A board whose far edge looks shorter by this part than its near one is tilted towards the camera."""


@dataclass(frozen=True)
class Coverage:
    """What views show so far. ``cells`` counts corners by cell of the picture, (rows, columns)."""

    views: int
    cells: NDArray[np.int64]
    tilted: int
    nearer: float
    """Largest board in a picture over the smallest, in length."""

    @property
    def share(self) -> float:
        """Part of the picture's cells that saw a corner, 0 to 1."""
        return float((self.cells > 0).mean())

    @property
    def lacks(self) -> tuple[str, ...]:
        """What to show next, most wanted first; empty when there is enough."""
        rows, columns = CELLS
        half = {
            "the top": self.cells[: rows // 3], "the bottom": self.cells[-(rows // 3) :],
            "the left": self.cells[:, : columns // 3], "the right": self.cells[:, -(columns // 3) :],
        }  # fmt: skip
        empty = min(half, key=lambda name: float((half[name] > 0).mean()))
        wanted = (
            (self.views < ENOUGH_VIEWS, f"{ENOUGH_VIEWS - self.views} more views"),
            (self.share < ENOUGH_CELLS, f"the board at {empty} of the picture"),
            (self.tilted < ENOUGH_TILTED, "the board tilted by 30 degrees or more, to several sides"),
            (self.nearer < ENOUGH_NEARER, "the board nearer and further"),
        )
        return tuple(say for is_wanted, say in wanted if is_wanted)

    def meter(self) -> str:
        """Return one line for a terminal."""
        bar = "".join("█" if done else "░" for done in np.linspace(0.05, 0.95, 10) < self.share / ENOUGH_CELLS)
        return f"{bar} {self.views} views, {100 * self.share:.0f} % of the picture, {self.tilted} tilted" + (
            f"; wanted: {self.lacks[0]}" if self.lacks else "; enough"
        )


def coverage(views: Sequence[Corners], board: BoardParams, size_px: tuple[int, int]) -> Coverage:
    """Return what views of a board show; ``size_px`` is width and height of the pictures."""
    cells = np.zeros(CELLS, int)
    sizes, tilted = [], 0
    for view in views:
        column = np.clip(view.px[:, 0] * CELLS[1] / size_px[0], 0, CELLS[1] - 1).astype(int)
        row = np.clip(view.px[:, 1] * CELLS[0] / size_px[1], 0, CELLS[0] - 1).astype(int)
        np.add.at(cells, (row, column), 1)
        scale, tilt = _look(view, board)
        sizes.append(scale)
        tilted += tilt > TILTED
    return Coverage(len(views), cells, tilted, max(sizes) / min(sizes) if sizes else 1.0)


def _look(view: Corners, board: BoardParams) -> tuple[float, float]:
    """Return how large a board looks [px per m], and by which part its scale changes across it."""
    points = board.corners_m[view.ids, :2]
    design = np.column_stack([points - points.mean(axis=0), np.ones(len(points))])
    x, y = points.T
    second = np.column_stack([design, x * x, x * y, y * y])
    use = second if np.linalg.matrix_rank(second) == 6 else design
    fit, *_ = np.linalg.lstsq(use, view.px, rcond=None)
    scale = float(np.sqrt(abs(np.linalg.det(fit[:2]))))
    if use is design:
        return scale, 0.0
    span = np.ptp(points, axis=0).max()
    return scale, float(np.linalg.norm(fit[3:], axis=1).max() * 2 * span / max(scale, 1e-9))
