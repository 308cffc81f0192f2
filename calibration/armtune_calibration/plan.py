"""Tool poses to look from: spread in place and turn, the next one always the furthest from all before."""

from __future__ import annotations

import numpy as np

from .poses import Array, exp, log

REACH_M, TURN_RAD = (0.12, 0.16, 0.10), 0.7
LEVER_M = 0.25
"""A radian counts like this many metres in how far two poses are apart."""


def spread(around: Array, count: int, rng: np.random.Generator, turn_rad: float = TURN_RAD) -> list[Array]:
    """Return ``base_from_tool`` (4, 4) of ``count`` poses about one, the first nearest to it.

    Args:
        around: A pose in which the board is seen.
        turn_rad: How far the tool turns from there at most [rad].
    """
    drawn = np.array(
        [np.concatenate([rng.uniform(-1, 1, 3) * REACH_M, _ball(rng, turn_rad)]) for _ in range(8 * count)]
    )
    order = np.column_stack([drawn[:, :3], LEVER_M * drawn[:, 3:]])
    chosen = [int(np.argmin(np.linalg.norm(order, axis=1)))]
    nearest = np.full(len(drawn), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.linalg.norm(order - order[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(nearest)))
    made = []
    for six in drawn[chosen]:
        one = around @ exp(np.concatenate([np.zeros(3), six[3:]]))
        one[:3, 3] = around[:3, 3] + six[:3]
        made.append(one)
    return made


def is_new(pose: Array, before: list[Array], apart_m: float = 0.03) -> bool:
    """Whether a pose is far enough from all before that looking again is worth it."""
    return all(_apart(pose, other) >= apart_m for other in before)


def _apart(a: Array, b: Array) -> float:
    turn = log(np.linalg.inv(a) @ b)[3:]
    return float(np.linalg.norm(np.concatenate([a[:3, 3] - b[:3, 3], LEVER_M * turn])))


def _ball(rng: np.random.Generator, radius: float) -> Array:
    way = rng.normal(size=3)
    return way / np.linalg.norm(way) * radius * rng.uniform() ** (1 / 3)
