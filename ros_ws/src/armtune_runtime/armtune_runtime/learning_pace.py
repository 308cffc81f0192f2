"""Which offer goes out when, and whether another episode may begin. Pure.

In lockstep what was learnt of episode n is offered while n + 1 is acted and taken when n + 2 begins, on any machine:
so the learner works while the arm acts, and the same seed gives the same practice. In real time it goes out at once,
and nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .learner_process import Offer


@dataclass
class LearningPace:
    """Feed it what happens; ``due`` gives the offers to publish now, ``owes`` says whether an episode must wait."""

    is_lockstep: bool
    _ended: list[str] = field(default_factory=list)
    _paid: set[str] = field(default_factory=set)
    _waiting: list[tuple[str, Offer]] = field(default_factory=list)
    _out: Offer | None = None
    """The newest one published, until the policy acts by it or refuses it."""
    _is_taken: bool = True
    """Whether the policy has it ready for the next episode, or will not have it."""
    _acting: str = ""
    _has: tuple[str, str, str] = ("", "", "")

    def ended(self, episode_id: str) -> None:
        """Note an episode that ended."""
        if episode_id not in self._ended:
            self._ended.append(episode_id)

    def acts(self, episode_id: str) -> None:
        """Note the episode that is acted: the policy for it is chosen."""
        self._acting = episode_id

    def paid(self, episode_ids: Iterable[str], offers: Iterable[Offer]) -> None:
        """Note episodes that were learnt from, and the offers that came of it."""
        self._paid |= set(episode_ids)
        self._waiting += [(offer.after, offer) for offer in offers]

    def policy(self, active: str, waiting: str, refused: str) -> None:
        """Note which versions the policy has: the one it acts by, the one for the next episode, one it refused."""
        self._has = (active, waiting, refused)
        self._settle()

    def _settle(self) -> None:
        active, _, refused = self._has
        if self._out is not None:
            self._is_taken = self._is_taken or self._out.version in self._has
            self._out = None if self._out.version in (active, refused) else self._out

    def due(self) -> list[Offer]:
        """Return the offers to publish now, and count them as published."""
        if not self.is_lockstep:
            found, self._waiting = [offer for _, offer in self._waiting], []
            return found
        if not self._waiting or self._is_in_the_way or not self._has_begun_after(self._waiting[0][0]):
            return []
        _, offer = self._waiting.pop(0)
        self._out, self._is_taken = offer, False
        self._settle()  # it may act by it already, as it does when it is gone back to soon
        return [offer]

    @property
    def _is_in_the_way(self) -> bool:
        """Whether the newest one published is still to be acted by before the next goes out.

        Not where the next is overdue: a learner that came back late offers two before an episode begins.
        """
        is_overdue = self._waiting[0][0] in self._ended[:-1]
        return self._out is not None and not (self._is_taken and is_overdue)

    @property
    def owes(self) -> bool:
        """Whether another episode must wait: for what the last but one taught, learnt, offered and taken."""
        if not self.is_lockstep:
            return False
        before = self._ended[:-1]
        is_offered = not any(after in before for after, _ in self._waiting)
        return not (self._paid.issuperset(before) and is_offered and self._is_taken)

    def _has_begun_after(self, episode_id: str) -> bool:
        """Whether an episode after that one has begun, so that its policy is chosen."""
        newest = max([self._acting, *self._ended[-1:]])
        return newest > episode_id
