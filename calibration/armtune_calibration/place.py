"""Has a camera been moved? What stands still in its picture is looked for where it was.

Features (Shi and Tomasi) are followed from a reference picture into the one of now by optical flow (Lucas and Kanade)
there and back; the arm and things that were moved are a minority, so the median says what the camera did. With ArUco
markers fixed to the table their corners serve instead: they are told apart by number, however far they went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .record import CameraRecord

Grey = NDArray[np.uint8]
Kind = Literal["scene", "marker"]
FEATURES, QUALITY, GAP_PX = 300, 0.01, 9
LEAST_FEATURES, LEAST_SHARE = 40, 0.3
"""Fewer features than that say nothing; when less than this part of them is found again the scene is another one."""
BACK_PX = 0.7
_WINDOW_PX, _HALVINGS = (25, 25), 3


@dataclass(frozen=True)
class Moved:
    """How far the scene went in the picture [px], the median; and which part of it was found again, 0 to 1."""

    off_px: float
    share: float

    def why(self, bound_px: float, px_per_mm: float = 0.0, bound_mm: float = 0.0) -> str:
        """Return "" for a camera in its place, else what is wrong with it, in one sentence."""
        if not self.share >= LEAST_SHARE:
            return (
                f"{100 * self.share:.0f} % of what it should see is found again, at least {100 * LEAST_SHARE:.0f} % is "
                "wanted: it was moved, covered, or is another camera"
            )
        off_mm = self.off_px / px_per_mm if px_per_mm else 0.0
        if self.off_px <= bound_px and (not px_per_mm or off_mm <= bound_mm):
            return ""
        far = f"{self.off_px:.1f} px" + (f" or {off_mm:.1f} mm at the table" if px_per_mm else "")
        most = f"{bound_px:g} px" + (f" and {bound_mm:g} mm" if px_per_mm else "")
        return f"it was moved by {far}, at most {most} is allowed; put it back, or calibrate again"


class Place:
    """A reference picture, rgb or grey, and what stands still in it.

    Raises:
        ValueError: when there is too little to go by.
    """

    def __init__(self, picture: NDArray[np.uint8], kind: Kind = "scene") -> None:
        self.kind = kind
        self._grey, self._markers = _grey(picture), _markers(picture) if kind == "marker" else {}
        if kind == "marker":
            if not self._markers:
                raise ValueError(
                    "reference picture: expected ArUco markers (4x4) in it, found none; fix some, or use a scene"
                )
            return
        found = cv2.goodFeaturesToTrack(self._grey, FEATURES, QUALITY, GAP_PX)
        self._points = np.zeros((0, 1, 2), np.float32) if found is None else found
        if len(self._points) < LEAST_FEATURES:
            raise ValueError(
                f"reference picture: expected at least {LEAST_FEATURES} features to go by, found {len(self._points)}; "
                "light the scene, or fix ArUco markers in it"
            )

    def compare(self, picture: NDArray[np.uint8]) -> Moved:
        """Return how far a picture is from the reference.

        Raises:
            ValueError: for a picture of another size.
        """
        now = _grey(picture)
        if now.shape != self._grey.shape:
            raise ValueError(
                f"picture: expected {self._grey.shape[::-1]} pixels as the reference, got {now.shape[::-1]}"
            )
        return self._by_markers(picture) if self.kind == "marker" else self._by_scene(now)

    def _by_markers(self, picture: NDArray[np.uint8]) -> Moved:
        seen = _markers(picture)
        both = self._markers.keys() & seen.keys()
        if not both:
            return Moved(float("inf"), 0.0)
        off = np.concatenate([np.linalg.norm(seen[i] - self._markers[i], axis=1) for i in both])
        return Moved(float(np.median(off)), len(both) / len(self._markers))

    def _by_scene(self, now: Grey) -> Moved:
        there, found = _flow(self._grey, now, self._points)
        back, again = _flow(now, self._grey, there)
        returned = np.linalg.norm(back - self._points, axis=2).ravel() < BACK_PX
        kept = found & again & returned
        kept &= self._alike(now, there.reshape(-1, 2))
        if not kept.any():
            return Moved(float("inf"), 0.0)
        off = np.linalg.norm(there - self._points, axis=2).ravel()[kept]
        return Moved(float(np.median(off)), float(kept.mean()))

    def _alike(self, now: Grey, there: NDArray[Any], half_px: int = 7) -> NDArray[np.bool_]:
        """Whether what is around each feature looks as it did: flow finds something everywhere."""
        size, alike = (2 * half_px + 1,) * 2, np.zeros(len(there), bool)
        for i, (before, after) in enumerate(zip(self._points.reshape(-1, 2), there)):
            a = cv2.getRectSubPix(self._grey, size, before.tolist()).astype(float)
            b = cv2.getRectSubPix(now, size, after.tolist()).astype(float)
            a, b = a - a.mean(), b - b.mean()
            alike[i] = (a * b).sum() > 0.8 * np.sqrt((a * a).sum() * (b * b).sum()) > 0.0
        return alike


def px_per_mm(camera: CameraRecord, table_m: float = 0.0) -> float:
    """Return how many pixels a millimetre at the table is, where the camera looks; 0 where that is not known."""
    if camera.pose is None or camera.pose.parent != "base":
        return 0.0
    x, y, *_ = camera.pose.quaternion_xyzw
    down = -(1.0 - 2.0 * (x * x + y * y))  # how steeply the optical axis goes down
    depth_m = (camera.pose.position_m[2] - table_m) / down if down > 0.1 else 0.0
    return camera.lens.fx_px / (1e3 * depth_m) if depth_m > 0.0 else 0.0


def _flow(before: Grey, after: Grey, points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return where points (N, 1, 2) [px] went, and which were found."""
    nothing: Any = None
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, nothing, winSize=_WINDOW_PX, maxLevel=_HALVINGS)
    return np.asarray(there), np.asarray(found).ravel().astype(bool)


def _grey(picture: NDArray[np.uint8]) -> Grey:
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.equalizeHist(grey), np.uint8)  # a lamp more or less does not matter


def _markers(picture: NDArray[np.uint8]) -> dict[int, NDArray[Any]]:
    """Return corners (4, 2) [px] by marker number."""
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    known = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    corners, numbers, _ = cv2.aruco.ArucoDetector(known, parameters).detectMarkers(grey)
    return (
        {}
        if numbers is None
        else {int(n): np.asarray(c, np.float32).reshape(4, 2) for n, c in zip(numbers.ravel(), corners)}
    )
