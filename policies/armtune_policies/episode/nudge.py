"""A push over the table that moves what an episode failed at: another scene, without a person. Pure.

A policy that failed tends to fail in the same scene again. Where its hand shut, or else was lowest, it took
the object to be; five strokes of the shut hand sweep from behind that place to one where this direction's
successes took hold. Joints and commands alone are looked at: practice knows no truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

BEHIND_M, LANE_M, LANES = 0.06, 0.025, (2, -2, 1, -1, 0)
"""A lane begins so far behind where it was tried; lanes are so far apart, a hand's width, and come in this order. A
policy that fails is mistaken by 5 cm in the middle; three lanes brought the thing back less often
(docs/results-before.md)."""
SHORT_M = 0.01
ABOVE_M = 0.08
"""The hand comes down and leaves from so high, beside what stands there."""
SHUT = 0.5
"""An opening below is a hand that tried to take hold."""


def shut_at(states: Floats, openings: Floats) -> Floats | None:
    """Return where the open hand of an episode was first told to shut [m], (3,); None where it never was.

    What it measures does not tell: a hand that holds a thing is half open.

    Args:
        states: ``observation.state`` of its steps, (T, 7): tool position [m], rotation vector, opening 0..1.
        openings: Of the gripper as allowed in these steps, (T,).
    """
    shut = np.flatnonzero((np.maximum.accumulate(openings) >= SHUT) & (openings < SHUT))
    return np.asarray(states[shut[0], :3], float) if len(shut) else None


def stroke(states: Floats, openings: Floats, goal: Floats, rng: np.random.Generator) -> Floats:
    """Return tool positions to pass [m], (N, 3): lanes from behind where it was tried to the goal, outer ones first.

    Args:
        states: Of the episode that failed, as above; one whose hand never shut tried where it was lowest.
        openings: As above.
        goal: Where this direction's object was taken hold of in a success [m], (3,); its height is the lanes'.
        rng: Draws which side comes first, and the heading where it was tried at the goal itself.
    """
    shut = shut_at(states, openings)
    tried = states[np.argmin(states[:, 2]), :3] if shut is None else shut
    way = (goal - tried)[:2].astype(float)
    far = float(np.linalg.norm(way))
    angle = np.arctan2(way[1], way[0]) if far > SHORT_M else rng.uniform(0.0, 2.0 * np.pi)
    ahead, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    points = []
    for lane in rng.choice([-1.0, 1.0]) * LANE_M * np.array(LANES):
        begin, end = tried[:2] - BEHIND_M * ahead + lane * aside, goal[:2] + 0.5 * lane * aside
        points += [[*begin, goal[2] + ABOVE_M], [*begin, goal[2]], [*end, goal[2]], [*end, goal[2] + ABOVE_M]]
    return np.array(points)
