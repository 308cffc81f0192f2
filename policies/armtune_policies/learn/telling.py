"""Which colours tell where the hand is to take hold: what the agent is shown of an image.

Each demonstration says where its hand shut. A colour whose middle tells that place in episodes that it was not fitted
to is a colour of the thing; the others tell where the arm is, which the state says, and ten demonstrations are few
enough to be learnt by heart from them (docs/encoders.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

FAR_M, NEAR_M = 0.04, 0.08
"""A camera that stands still is asked where the hand is far from the place, lest the hand's own colour tells it; one
that the hand carries, where it is near: further off it does not see it."""
TELLS = 0.5
"""A colour tells a place where it errs by less than so much of what the best constant errs by."""
LEAST_EPISODES = 4
"""An affine map has three numbers an axis; with fewer episodes nothing is known of how it errs."""


@dataclass(frozen=True)
class Sights:
    """What one camera's colours told in some frames, and where the hand then took hold."""

    features: Floats
    """(N, 3 C) as ``Blobs`` tells them."""
    tool_m: Floats
    """(N, 2): where the tool was, x and y."""
    grasp_m: Floats
    """(N, 2): where the hand was to shut; NaN where that is not known."""
    episode: npt.NDArray[np.int64]
    """(N,)."""


def telling(seen: Sights) -> int | None:
    """Return the colour that tells best where the hand takes hold, from the base or from the tool; None for none."""
    off_m = seen.grasp_m - seen.tool_m
    away_m = np.linalg.norm(off_m, axis=1)
    asked = ((seen.grasp_m, away_m > FAR_M), (off_m, away_m < NEAR_M))
    found = [_best(seen.features[rows], place_m[rows], seen.episode[rows]) for place_m, rows in asked]
    share, colour = min(found)
    return colour if share < TELLS else None


def _best(features: Floats, place_m: Floats, episode: npt.NDArray[np.int64]) -> tuple[float, int]:
    """Return the least error of a colour's, in parts of a constant's, and the colour."""
    if len(np.unique(episode)) < LEAST_EPISODES:
        return np.inf, -1
    across, down, _ = np.split(features.astype(np.float64), 3, axis=1)
    one = np.ones((len(features), 1))
    errors = [_error(np.c_[x, y, one], place_m, episode) for x, y in zip(across.T, down.T)]
    colour = int(np.argmin(errors))
    return errors[colour] / _error(one, place_m, episode), colour


def _error(inputs: Floats, place_m: Floats, episode: npt.NDArray[np.int64]) -> float:
    """Return the mean error [m] of a linear map of inputs (N, D), each episode told by the others."""
    errors = []
    for left_out in np.unique(episode):
        told = episode == left_out
        weights, *_ = np.linalg.lstsq(inputs[~told], place_m[~told])
        errors.append(np.linalg.norm(inputs[told] @ weights - place_m[told], axis=1).mean())
    return float(np.mean(errors))
