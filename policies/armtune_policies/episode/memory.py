"""What an episode did, and where successes took hold: all that a nudge needs to know. Pure; it knows no truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import DIRECTIONS, Direction, opposite

from .course import Move
from .nudge import let_go_at, scatter, shut_at, stroke

Floats = npt.NDArray[np.floating]
Grasps = Mapping[Direction, Sequence[Floats]]
"""By direction: places [m], (3,) each."""

KEPT = 200
"""Places remembered per direction; older ones are forgotten."""
MOVED_M, MOVED_OPENING = 0.02, 0.2
"""An episode in which the tool went less far, and the gripper changed less, did nothing."""
NUDGES: Mapping[Move, int] = {"nudge": 1, "recover": 3}
"""How many there are, each to another place."""


def is_still(states: Floats, least: float) -> bool:
    """Return whether no number of the states (N, 7) changed by ``least``.

    A policy that acts by its mean stays where it hangs until time is up, and teaches nothing but that. So does a state
    that tells no motion at all: there ``least`` is 0, which nothing falls below.
    """
    return bool((np.ptp(states, axis=0) < least).all())


class Memory:
    """Of the episode under way or just over: where it was at each step, and what the gripper was then told.

    Args:
        grasps: By direction, where demonstrations took hold: what a nudge aims at, until practice knows more.
    """

    def __init__(self, grasps: Grasps | None = None) -> None:
        self._shown: Grasps = {direction: list((grasps or {}).get(direction, ())) for direction in DIRECTIONS}
        self._grasps = dict(self._shown)
        self.begin()

    def begin(self) -> None:
        """Forget the episode before."""
        self._states: dict[int, Floats] = {}
        self._newest: Floats | None = None
        self._way_m, self._least, self._most = 0.0, np.inf, -np.inf
        self._openings: dict[int, float] = {}

    def saw(self, step: int, state: Floats) -> None:
        """Note ``observation.state``, (7,), at a step."""
        before, now = self._newest, np.asarray(state)
        self._states[step] = self._newest = now
        self._way_m += 0.0 if before is None else float(np.linalg.norm(now[:3] - before[:3]))
        self._least, self._most = min(self._least, float(now[-1])), max(self._most, float(now[-1]))

    @property
    def has_moved(self) -> bool:
        """Whether the tool or the gripper did anything; so it counts also where nothing was seen of it."""
        is_known = self._newest is not None
        return not (is_known and self._way_m < MOVED_M and self._most - self._least < MOVED_OPENING)

    def made(self, step: int, opening: float) -> None:
        """Note the gripper's opening 0..1 that was allowed in a step."""
        self._openings[step] = opening

    def is_still(self, step: int, steps: int, least: float) -> bool:
        """Whether nothing moved in the ``steps`` before ``step``; not where any of them was not seen."""
        last = [self._states[at] for at in range(step - steps, step + 1) if at in self._states]
        return len(last) == steps + 1 and is_still(np.stack(last), least)

    def succeeded(self, direction: Direction) -> None:
        """Learn where the episode took hold, as it succeeded."""
        states, openings = self._both()
        at = shut_at(states, openings) if len(states) else None
        if at is not None:
            self._grasps[direction] = [*self._grasps[direction], at][-KEPT:]

    def push(self, direction: Direction, seed: int, move: Move = "nudge") -> Floats | None:
        """Return tool positions (N, 3) that push what the episode of this direction failed at, or put down.

        The first goes to where its successes took hold, ``scatter`` to where demonstrations of the other direction
        did, for they began anywhere. None where nothing is known: no place yet, or nothing seen of the episode.
        """
        goals = self._shown[opposite(direction)] if move == "scatter" else self._grasps[direction]
        states, openings = self._both()
        if not goals or not len(states):
            return None
        rng = np.random.default_rng(seed)
        if move == "scatter":
            stood = let_go_at(states, openings)
            return None if stood is None else scatter(stood, goals[int(rng.integers(len(goals)))], rng)
        return np.concatenate(
            [stroke(states, openings, goals[int(rng.integers(len(goals)))], rng) for _ in range(NUDGES[move])]
        )

    def _both(self) -> tuple[Floats, Floats]:
        steps = sorted(set(self._states) & set(self._openings))
        states = np.stack([self._states[step] for step in steps]) if steps else np.zeros((0, 7))
        return states, np.array([self._openings[step] for step in steps])
