"""A gripper that is told to open or to close is given the time to do so. Pure.

What a gripper is told shows only steps later: one that holds something was told to close farther than it can, and is
where it was after the first step of letting go. A policy that sees no more than where the gripper is then wants now the
one, now the other, over and over, with the thing in its hand in the bin. So for some steps it stays with what it was
told anew. Known as a sticky gripper (SimplerEnv, Li et al. 2024, arXiv:2405.05941).
"""

from __future__ import annotations

_HALF_OPEN = 0.5


class Grip:
    """What the gripper was told last in an episode, and until when that stands.

    Args:
        steps: Control steps for which it stays with what it was told anew, the first one counted; 1: never.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._episode: object = None
        self._told, self._until = 0.0, 0

    def held(self, episode: object, step: int, opening: float) -> float:
        """Return the opening, 0 closed to 1 open, to propose in a step where a policy wants ``opening``.

        Only a change is held. An episode (or whatever names who acts in it) begins with what is wanted first.
        """
        if episode != self._episode:
            self._episode, self._told, self._until = episode, opening, step
        turns = (opening > _HALF_OPEN) != (self._told > _HALF_OPEN)
        if turns and step < self._until:
            return self._told
        if turns:
            self._until = step + self._steps
        self._told = opening
        return opening
