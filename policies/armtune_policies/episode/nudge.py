"""A push over the table that moves what an episode failed at, or put down: another scene, without a person. Pure.

A policy that failed tends to fail in the same scene again. Where its hand shut, or else was lowest, it took
the object to be; five strokes of the shut hand sweep from behind that place to one where this direction's
successes took hold. What it put down needs three: where it was let go of is known. Joints and commands alone are
looked at: practice knows no truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

BEHIND_M, LANE_M, LANES = 0.06, 0.025, (2, -2, 1, -1, 0)
"""A lane begins so far behind where it was tried; lanes are so far apart, a hand's width, and come in this order. A
policy that fails is mistaken by 5 cm in the middle; three lanes brought the thing back less often
(docs/results-before.md)."""
NARROW_M, LOW_M = (0.012, -0.012, 0.0), 0.01
"""What was put down stands where it is known to, and is met so far below where it is taken hold of: one lane, or a
higher one, slips past a peg that rights itself (median miss of 24: 4.5 cm, now 1.8)."""
SHORT_M = 0.01
ABOVE_M = 0.08
"""The hand comes down and leaves from so high, beside what stands there."""
SHUT = 0.5
"""An opening below is a hand that tried to take hold."""


def shut_row(openings: Floats) -> int | None:
    """Return the step in which an open hand was first told to shut; None where it never was. ``openings`` (T,)."""
    shut = np.flatnonzero((np.maximum.accumulate(openings) >= SHUT) & (openings < SHUT))
    return int(shut[0]) if len(shut) else None


def shut_at(states: Floats, openings: Floats) -> Floats | None:
    """Return where the open hand of an episode was first told to shut [m], (3,); None where it never was.

    What it measures does not tell: a hand that holds a thing is half open.

    Args:
        states: ``observation.state`` of its steps, (T, 7): tool position [m], rotation vector, opening 0..1.
        openings: Of the gripper as allowed in these steps, (T,).
    """
    shut = shut_row(openings)
    return None if shut is None else np.asarray(states[shut, :3], float)


def let_go_at(states: Floats, openings: Floats) -> Floats | None:
    """Return where a hand that had shut was last told to open [m], (3,); None where it never was. As ``shut_at``."""
    shut = shut_at(states, openings)
    if shut is None:
        return None
    opened = 1 + np.flatnonzero((openings[:-1] < SHUT) & (openings[1:] >= SHUT))
    return np.asarray(states[opened[-1], :3], float) if len(opened) and openings[-1] >= SHUT else None


def scatter(stood: Floats, goal: Floats, rng: np.random.Generator) -> Floats:
    """Return tool positions to pass [m], (12, 3): lanes from behind what stands there to a little before the goal.

    Args:
        stood: Where it was let go of [m], (3,).
        goal: Where it is to stand, roughly [m], (3,).
        rng: Draws the heading where it stands there already.
    """
    ahead, aside = _heading(stood, goal, rng)
    end = np.append(goal[:2] - LANE_M * ahead, goal[2] - LOW_M)
    return np.concatenate([_lane(stood, end, ahead, aside, lane_m) for lane_m in NARROW_M])


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
    ahead, aside = _heading(tried, goal, rng)
    offsets = rng.choice([-1.0, 1.0]) * LANE_M * np.array(LANES)
    return np.concatenate([_lane(tried, goal, ahead, aside, lane_m) for lane_m in offsets])


def _heading(start: Floats, goal: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return unit vectors over the table, from one place to another and to its left; drawn where they are one."""
    way = (goal - start)[:2].astype(float)
    far = float(np.linalg.norm(way))
    angle = np.arctan2(way[1], way[0]) if far > SHORT_M else rng.uniform(0.0, 2.0 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])


def _lane(start: Floats, goal: Floats, ahead: Floats, aside: Floats, lane_m: float) -> Floats:
    """Return one lane, (4, 3): down, along, up."""
    begin, end = start[:2] - BEHIND_M * ahead + lane_m * aside, goal[:2] + 0.5 * lane_m * aside
    return np.array([[*begin, goal[2] + ABOVE_M], [*begin, goal[2]], [*end, goal[2]], [*end, goal[2] + ABOVE_M]])
