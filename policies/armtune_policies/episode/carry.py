"""Picking up a thing that stands where the arm knows it to, and putting it down elsewhere. Pure; it knows no truth.

The hand comes straight down where the arm itself let go of it, and lifts it. Whether it has it is measured: a hand told
to shut that stays open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .motion import HELD, Leg

Floats = npt.NDArray[np.floating]

ABOVE_M = 0.07
"""From so high the hand comes down, and to so high it leaves."""
CARRIED_M = 0.1
"""So high above both places a thing is carried."""
FINE_M, COARSE_M = 0.008, 0.02
ASIDE_M = 0.01
"""It is put down so far at most beside the goal, along each axis."""
LIFTED, PUT = 3, 5
"""The legs that end where it is lifted, and where it is put down."""
OPEN = 0.9
"""A hand at least so far open holds nothing."""
LEGS = 8


def carry(stands_m: Floats, goal_m: Floats, rng: np.random.Generator) -> tuple[Leg, ...]:
    """Return the legs of a hand that picks up what stands at one place [m], (3,), and puts it down near another.

    Args:
        stands_m: Where the tool is to take hold of it.
        goal_m: Where the tool is to let go of it, roughly.
        rng: Draws how far beside.
    """
    put = np.asarray(goal_m, float) + np.append(rng.uniform(-ASIDE_M, ASIDE_M, 2), 0.0)
    high = max(float(stands_m[2]), float(put[2])) + CARRIED_M
    up = np.array([0.0, 0.0, ABOVE_M])
    ways = [
        (stands_m + up, 1.0, COARSE_M),
        (stands_m, 1.0, FINE_M),
        (stands_m, 0.0, COARSE_M),
        (np.append(stands_m[:2], high), 0.0, COARSE_M),
        (np.append(put[:2], high), 0.0, COARSE_M),
        (put, 0.0, FINE_M),
        (put, 1.0, COARSE_M),
        (put + up, 1.0, COARSE_M),
    ]
    return tuple(
        Leg((float(at[0]), float(at[1]), float(at[2])), opening, near_m, holds=LIFTED <= number <= PUT)
        for number, (at, opening, near_m) in enumerate(ways)
    )


def put_at(passed: Sequence[npt.ArrayLike]) -> Floats | None:
    """Return where a thing was put down [m], (2,), by the states that ended the legs; None where it may not have been.

    An arm that is held meanwhile passes legs by where it is: the hand must have held something until it was there, and
    have opened there, or on its way up.
    """
    if len(passed) != LEGS:
        return None
    states = np.asarray(passed, float)
    carried, opened = states[LIFTED : PUT + 1], states[PUT + 1]
    has_moved = np.ptp(states[:, 2]) > CARRIED_M / 2
    is_held = (carried[:, -1] >= HELD).all() and (carried[:, -1] < OPEN).all() and states[-1, -1] >= OPEN
    is_there = np.linalg.norm(opened[:3] - carried[-1, :3]) < COARSE_M
    return carried[-1, :2] if np.isfinite(states).all() and has_moved and is_held and is_there else None
