"""Is each camera where it was calibrated? Pictures in, a sentence out. Pure."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armtune_calibration.place import Place, px_per_mm
from armtune_calibration.record import load, picture_of
from armtune_policies.contract import ConfigError
from armtune_policies.store.pictures import read_picture

from .settings import CameraParams

IN_A_ROW = 3
"""So many pictures in a row must say that a camera was moved: a hand before it is gone by then, or is worth a look."""

OLD_S = 10.0
"""A look is good for so long while no episode is on; a camera that is reset is back sooner."""


class Fresh:
    """Whether what was said of a camera still counts: a look grows old, a picture that is repeated is no look. Pure.

    Args:
        is_live: It has a sensor, whose noise makes each picture another one.
    """

    def __init__(self, is_live: bool, now_s: float) -> None:
        self._is_live, self._since_s, self._digest = is_live, now_s, -1

    def is_new(self, picture: NDArray[np.uint8]) -> bool:
        """Return whether a picture is another one than the last, or need not be."""
        before, self._digest = self._digest, zlib.crc32(picture.tobytes()) if self._is_live else -1
        return not self._is_live or self._digest != before

    def note(self, now_s: float) -> None:
        """Note a look, or that none is due."""
        self._since_s = now_s

    def why(self, now_s: float) -> str:
        """Return that the last look is too old, blank while it is not."""
        return "" if now_s - self._since_s <= OLD_S else f"not looked at for {OLD_S:g} s: do pictures of it come?"


class Check:
    """Compares pictures of one camera with its reference.

    Raises:
        ConfigError: when the calibration or its reference picture cannot be used.
    """

    def __init__(self, params: CameraParams, name: str) -> None:
        calibration = load(Path(params.calibration))
        record = calibration.camera(name)
        if record.place is None:
            raise ConfigError(f"camera {name!r}: no reference picture; run `armtune calibrate reference`")
        kept = picture_of(Path(params.calibration), record.place)
        try:
            reference = read_picture(kept)
        except (ValueError, OSError):
            raise ConfigError(
                f"camera {name!r}: its reference is not a picture; run `armtune calibrate reference` again"
            ) from None
        self._place = Place(reference, "marker" if record.place.kind == "marker" else "scene")
        table_m = calibration.workspace.low_m[2] if calibration.workspace else 0.0
        self._bounds = (params.moved_px, px_per_mm(record, table_m), params.moved_mm)
        self._bad = 0
        self.why = "not looked at yet"
        """What is wrong, blank for nothing."""
        self.off_px = -1.0
        """How far it was off when last looked at; negative before."""

    def look(self, picture: NDArray[np.uint8]) -> None:
        """Take a picture, uint8 rgb (H, W, 3)."""
        try:
            moved = self._place.compare(picture)
        except ValueError as why:
            self.why = str(why)
            return
        self.off_px = moved.off_px
        wrong = moved.why(*self._bounds)
        self._bad = self._bad + 1 if wrong else 0
        if not wrong or self.why or self._bad >= IN_A_ROW:
            self.why = wrong
