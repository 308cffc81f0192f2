"""The ChArUco board: what it is, where its corners are, and a page that prints it at its exact size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import Checked, ConfigError, choice, num

MM_PER_INCH = 25.4
PAPERS_MM = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}
DICTIONARIES = {
    "4x4": (cv2.aruco.DICT_4X4_50, 50),
    "5x5": (cv2.aruco.DICT_5X5_100, 100),
    "6x6": (cv2.aruco.DICT_6X6_250, 250),
}
"""OpenCV's names, and how many markers each has. The fewer bits, the further away it is read."""
RULER_MM, QUIET_MM = 100.0, 10.0


@dataclass(frozen=True, kw_only=True)
class BoardParams(Checked):
    """A chessboard with a marker in each white square, so that a part of it is enough (ChArUco, as OpenCV has it).

    Its frame: origin in a corner of the board, x along the columns, y along the rows, z into the board. As it comes it
    fills a page of A4 or letter paper; its markers are small, so that a corner is refined in a window of 11 pixels
    half a metre away: the window ends where a marker begins.
    """

    columns: int = num(8, low=3, high=30, doc="squares along x")
    rows: int = num(6, low=3, high=30, doc="squares along y")
    square_m: float = num(0.030, low=0.004, high=0.5, doc="side of a square, as measured on the print [m]")
    marker_m: float = num(0.018, low=0.003, high=0.5, doc="side of a marker, its black rim included [m]")
    dictionary: str = choice("4x4", of=tuple(DICTIONARIES), doc="which markers")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.marker_m < 0.9 * self.square_m:
            raise ConfigError(f"marker_m: expected less than 0.9 of square_m ({self.square_m}), got {self.marker_m}")
        most = DICTIONARIES[self.dictionary][1]
        if (markers := self.columns * self.rows // 2) > most:
            raise ConfigError(
                f"dictionary: {self.dictionary} has {most} markers, the board needs {markers}; take more bits"
            )

    @cached_property
    def charuco(self) -> Any:
        """The board as OpenCV knows it."""
        markers = cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary][0])
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, markers)

    @cached_property
    def corners_m(self) -> NDArray[np.float64]:
        """Inner corners in the board's frame [m], (N, 3); the row is the corner's id."""
        return np.asarray(self.charuco.getChessboardCorners(), float)

    @property
    def size_m(self) -> tuple[float, float]:
        return self.columns * self.square_m, self.rows * self.square_m

    def picture(self, square_px: int) -> NDArray[np.uint8]:
        """Return the board from above, uint8 (rows x square_px, columns x square_px): 0 ink, 255 paper."""
        return self.charuco.generateImage((self.columns * square_px, self.rows * square_px), marginSize=0)

    def black_m(self) -> list[tuple[float, float, float, float]]:
        """Return all that is ink, as rectangles (x, y, width, height) [m] that do not overlap."""
        a, m = self.square_m, self.marker_m
        ink = [(c * a, r * a, a, a) for r in range(self.rows) for c in range(self.columns) if (r + c) % 2 == 0]
        cells = self.charuco.getDictionary().markerSize + 2
        for number, corners in zip(self.charuco.getIds().ravel(), self.charuco.getObjPoints()):
            x, y = corners[:, 0].min(), corners[:, 1].min()
            bits = self.charuco.getDictionary().generateImageMarker(int(number), cells, borderBits=1)
            side = m / cells
            ink += [(x + j * side, y + i * side, side, side) for i, j in zip(*np.nonzero(bits == 0))]
        return ink

    def pdf(self, paper: str = "a4") -> bytes:
        """Return a PDF page of the board in vectors, at its exact size, with a ruler to check the print by.

        Raises:
            ConfigError: for a paper that is not known, or too small in both directions.
        """
        if paper not in PAPERS_MM:
            raise ConfigError(f"paper: expected one of {', '.join(PAPERS_MM)}; got {paper!r}")
        wide_mm, high_mm = (1e3 * side for side in self.size_m)
        page = PAPERS_MM[paper] if wide_mm <= high_mm else PAPERS_MM[paper][::-1]
        if not (wide_mm + 2 * QUIET_MM <= page[0] and high_mm + 3 * QUIET_MM <= page[1]):
            fits = f"{page[0] - 2 * QUIET_MM:g} x {page[1] - 3 * QUIET_MM:g} mm"
            raise ConfigError(f"board: {wide_mm:g} x {high_mm:g} mm, but {paper} holds {fits}; use smaller squares")
        return _page(self, page, ((page[0] - wide_mm) / 2, (page[1] - high_mm + QUIET_MM) / 2))


def _page(board: BoardParams, page_mm: tuple[float, float], at_mm: tuple[float, float]) -> bytes:
    """Draw the board with its lower left at ``at_mm`` from the page's; one path, so that no seams show."""
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    figure = Figure(figsize=(page_mm[0] / MM_PER_INCH, page_mm[1] / MM_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, page_mm[0]), ylim=(0, page_mm[1]))
    axes.set_axis_off()
    top = at_mm[1] + 1e3 * board.size_m[1]
    boxes = [(at_mm[0] + 1e3 * x, top - 1e3 * (y + h), 1e3 * w, 1e3 * h) for x, y, w, h in board.black_m()]
    boxes.append((at_mm[0], at_mm[1] - QUIET_MM, RULER_MM, 1.0))
    one = Path.make_compound_path(
        *(Path([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)], closed=True) for x, y, w, h in boxes)
    )
    axes.add_patch(PathPatch(one, facecolor="black", edgecolor="none"))
    says = (
        f"ChArUco {board.columns} x {board.rows}, dictionary {board.dictionary}, squares {1e3 * board.square_m:g} mm, "
        f"markers {1e3 * board.marker_m:g} mm. Print at 100 %; the bar must measure {RULER_MM:g} mm."
    )
    axes.text(at_mm[0], at_mm[1] - QUIET_MM - 5.0, says, fontsize=7)
    out = io.BytesIO()
    figure.savefig(out, format="pdf", metadata={"CreationDate": None})
    return out.getvalue()
