"""Who holds the arm: one lease at a time, teleop > motion > policy. Pure.

Ids begin with the gate's boot id, so that one from an earlier life never matches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from armtune_policies.contract import OPERATOR, PRIORITY


@dataclass(frozen=True)
class Lease:
    """The arm, lent to one source until ``expires_ns`` on the control clock."""

    id: int
    source: str
    episode_id: str
    duration_ns: int
    expires_ns: int


class Leases:
    """Lends the arm. Refusals come back as a sentence, never as an exception."""

    def __init__(self, boot_id: int, longest_s: float) -> None:
        self._boot, self._longest_s, self._count = boot_id, longest_s, 0
        self._lease: Lease | None = None
        self.operator_lost = False
        """A person had the arm and did not give it back: their lease ran out, and they have taken no other since."""

    def holder(self, now_ns: int) -> Lease | None:
        """Return the lease in force, or None; an expired one is gone for good."""
        if self._lease and not now_ns < self._lease.expires_ns:
            self.operator_lost = self.operator_lost or self._lease.source == OPERATOR
            self._lease = None
        return self._lease

    def acquire(self, source: str, episode_id: str, duration_s: float, now_ns: int) -> tuple[int, str]:
        """Return (id, "") or (0, why not). The same source may replace its own lease."""
        held = self.holder(now_ns)
        if source not in PRIORITY:
            return 0, f"unknown source {source!r}; known: {', '.join(PRIORITY)}"
        if not 0.0 < duration_s <= self._longest_s:
            return 0, f"expected a duration in (0, {self._longest_s}] s, got {duration_s}"
        if held and PRIORITY[source] < PRIORITY[held.source]:
            return 0, f"{held.source} holds the arm and comes before {source}"
        self._count += 1
        number, duration_ns = (self._boot << 32 | self._count) % 2**64, round(duration_s * 1e9)
        self.operator_lost = self.operator_lost and source != OPERATOR
        self._lease = Lease(number, source, episode_id, duration_ns, now_ns + duration_ns)
        return number, ""

    def renew(self, number: int, duration_s: float, now_ns: int) -> tuple[int, str]:
        """Return (id, "") or (0, why not)."""
        if not (held := self.holder(now_ns)) or held.id != number:
            return 0, "not your lease: it has ended, acquire a new one"
        if not 0.0 < duration_s <= self._longest_s:
            return 0, f"expected a duration in (0, {self._longest_s}] s, got {duration_s}"
        duration_ns = round(duration_s * 1e9)
        self._lease = replace(held, duration_ns=duration_ns, expires_ns=now_ns + duration_ns)
        return number, ""

    def touch(self, now_ns: int) -> None:
        """An accepted proposal renews the lease it came under."""
        if self._lease:
            self._lease = replace(self._lease, expires_ns=now_ns + self._lease.duration_ns)

    def release(self, number: int, now_ns: int) -> tuple[int, str]:
        """Return (id, "") or (0, why not)."""
        if not (held := self.holder(now_ns)) or held.id != number:
            return 0, "not your lease: it has already ended"
        self._lease = None
        return number, ""

    def end(self, now_ns: int) -> None:
        """STOP: nobody holds the arm any more."""
        self.holder(now_ns)  # one that ran out before ended by that
        self._lease = None
