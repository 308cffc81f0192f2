"""When to ask the gate for the arm, and when to give it back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

RETRY_NS = 500_000_000
ANSWER_NS = 2_000_000_000
"""A call not answered within this is asked again: the gate may have been restarted."""

HOME, HAND = "home", "hand"
"""What the arm is wanted for outside an episode: its steps are none of an episode's."""


@dataclass(frozen=True)
class Ask:
    """One call of the lease service: acquire when ``lease`` is 0, else release it."""

    episode_id: str
    lease: int = 0

    @property
    def counted(self) -> str:
        """The episode whose steps are counted under the lease; blank outside one."""
        return "" if self.episode_id in (HOME, HAND) else self.episode_id


class LeaseKeeper:
    """Wants the arm for one episode, or for none; asks at most one thing at a time."""

    def __init__(self) -> None:
        self.wanted = ""
        self.lease = 0
        self._held_for = ""
        self._granted_ns = 0
        self._holder: int | None = None
        self._asked: Ask | None = None
        self._asked_ns = self._refused_ns = -ANSWER_NS
        self._is_silent = False

    def want(self, episode_id: str) -> None:
        """Set the episode the arm is wanted for; blank for none."""
        if episode_id != self.wanted:
            self.wanted, self._refused_ns = episode_id, -ANSWER_NS
        self._is_silent = self._is_silent and not episode_id

    def fall_silent(self) -> None:
        """Want the arm no more, and do not give it back: the lease runs out, and by that the gate knows a loss."""
        self.wanted, self._is_silent = "", True

    def due(self, now_ns: int) -> Ask | None:
        """Return the call to make now, if any; the caller then reports ``answered``."""
        self._lose_if_taken(now_ns)
        if self._is_silent:
            return None
        if self._asked is not None and now_ns - self._asked_ns < ANSWER_NS:
            return None
        if self.lease and self._held_for != self.wanted:
            return self._ask(Ask(self._held_for, self.lease), now_ns)
        if not self.lease and self.wanted and now_ns - self._refused_ns >= RETRY_NS:
            return self._ask(Ask(self.wanted), now_ns)
        return None

    def answered(self, ask: Ask, granted: bool, lease: int, now_ns: int) -> None:
        """Note the gate's answer; one that comes after we asked again is as good."""
        if self._asked == ask:
            self._asked = None
        if ask.lease:
            if self.lease == ask.lease:
                self.lease = 0
        elif granted:
            self.lease, self._held_for, self._granted_ns = lease, ask.episode_id, now_ns
            self._holder = None
        else:
            self._refused_ns = now_ns

    def seen(self, holder_lease: int, now_ns: int) -> None:
        """Note whose lease the gate says it is: ours is lost if another's, and a free arm is asked for at once."""
        self._holder = holder_lease
        if not holder_lease:
            self._refused_ns = -ANSWER_NS
        self._lose_if_taken(now_ns)

    def _lose_if_taken(self, now_ns: int) -> None:
        """A state sent before our grant may arrive after it, hence the grace of one retry.

        The gate says only once how it stands, so what it said within the grace counts after it.
        """
        if self.lease and self._holder not in (None, self.lease) and now_ns - self._granted_ns > RETRY_NS:
            self.lease = 0

    def _ask(self, ask: Ask, now_ns: int) -> Ask:
        self._asked, self._asked_ns = ask, now_ns
        return ask
