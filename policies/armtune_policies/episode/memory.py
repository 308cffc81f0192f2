"""What an episode did, where successes took hold, and where the thing stands: what the arm's own moves between
episodes need to know. Pure; it knows no truth.

Of a loose thing (``TaskPair.carries``) the arm believes that it stands where a success let go of it. Belief is enough
to reach for it, for a hand that has nothing in it is told at once. It is sure once it carried the thing itself, which
the hand measured, and only until the next try: what a try does to it, nobody saw. Labels by hindsight need to be sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import DIRECTIONS, Direction, opposite

from .carry import carry, put_at
from .course import AFTER_SUCCESS, Move
from .motion import Leg, pushing
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
        carries: Whether it is a loose thing, that the arm may carry elsewhere.
    """

    def __init__(self, grasps: Grasps | None = None, carries: bool = False) -> None:
        self._shown: Grasps = {direction: list((grasps or {}).get(direction, ())) for direction in DIRECTIONS}
        self._grasps = dict(self._shown)
        self._carries, self._is_carrying = carries, False
        self.forget()
        self.begin()

    @property
    def stands_m(self) -> tuple[float, ...]:
        """Where the thing stands for sure: x, y [m]; nothing where that is not known."""
        return () if self._stands is None or not self._is_sure else (float(self._stands[0]), float(self._stands[1]))

    def forget(self) -> None:
        """Know no longer where the thing stands: somebody else may have moved it."""
        self._stands: Floats | None = None
        self._is_sure = False

    def begin(self) -> None:
        """Forget the episode before; another one may move the thing."""
        self._is_sure = False
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
        """Learn where the episode took hold, and where it put the thing, as it succeeded."""
        states, openings = self._both()
        at = shut_at(states, openings) if len(states) else None
        if at is not None:
            self._grasps[direction] = [*self._grasps[direction], at][-KEPT:]
        self._stands = let_go_at(states, openings) if len(states) and self._carries else None

    def route(self, direction: Direction, seed: int, move: Move = "nudge") -> tuple[Leg, ...] | None:
        """Return how to bring elsewhere what the last episode, of this direction, failed at or put down.

        Where the arm believes to know where a loose thing stands it carries it to where demonstrations began, else it
        pushes it, unless it is to ``carry`` it only. None where nothing is known: no place yet, or nothing seen of the
        episode. ``followed`` is told what came of it.
        """
        self._is_sure = False
        shown = self._shown[opposite(direction) if move in AFTER_SUCCESS else direction]
        self._is_carrying = self._stands is not None and bool(shown) and move != "recover"
        if not self._is_carrying or self._stands is None:
            points = self._push(direction, seed, move) if move != "carry" else None
            return None if points is None else pushing(points)
        rng = np.random.default_rng(seed)
        from_m = np.append(self._stands[:2], np.median([at[2] for at in shown]))
        return carry(from_m, shown[int(rng.integers(len(shown)))], rng)

    def followed(self, passed: Sequence[npt.ArrayLike]) -> bool:
        """Note that the last route is over, by the states (7,) that ended its legs.

        Return False where there was nothing in the hand: another route, which pushes, may help.
        """
        self._stands = put_at(passed) if self._is_carrying else None
        self._is_sure = self._stands is not None
        return self._is_sure or not self._is_carrying

    def _push(self, direction: Direction, seed: int, move: Move) -> Floats | None:
        """Return tool positions (N, 3) that push what the episode of this direction failed at, or put down.

        The first goes to where its successes took hold, ``scatter`` to where demonstrations of the other direction
        did, for they began anywhere. None where nothing is known.
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
