"""Actions in physical units and in -1..1: one linear map, used by replay, practice and export alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec

Floats = npt.NDArray[np.float32]


class ActionScale:
    """The bounds of an action (A,) onto -1..1 and back."""

    def __init__(self, spec: ActionSpec) -> None:
        low, high = np.asarray(spec.low), np.asarray(spec.high)
        self.centre = ((high + low) / 2).astype(np.float32)
        self.half_range = ((high - low) / 2).astype(np.float32)

    def to_unit(self, physical: npt.ArrayLike) -> Floats:
        """Return actions (..., A) in -1..1 of metres, radians, opening; what lies beyond the bounds is cut."""
        unit = (np.asarray(physical, np.float32) - self.centre) / self.half_range
        return np.clip(unit, -1.0, 1.0).astype(np.float32)

    def to_physical(self, unit: npt.ArrayLike) -> Floats:
        """Return actions (..., A) in metres, radians, opening of -1..1."""
        return (self.centre + self.half_range * np.asarray(unit, np.float32)).astype(np.float32)
