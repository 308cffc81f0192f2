"""Who should be configured next, who is lost, whose restarts are spent. Pure.

Nodes are brought up in table order, one call at a time. A heartbeat only says that a node
ticks; when it last did a piece of work is carried in it, and judged where the work goes on
without a pause beside what ticks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .settings import SafetyParams

_ANSWER_S, _AGAIN_S, _POLL_S = 2.0, 0.5, 1.0

UNCONFIGURED, INACTIVE, ACTIVE = "unconfigured", "inactive", "active"
DOUBLE = "two processes have this name; end one of them"
WAITING, LOST, GIVEN_UP = "waiting", "lost", "given up"
STEPS = {UNCONFIGURED: "configure", INACTIVE: "activate"}
AFTER = {"configure": INACTIVE, "activate": ACTIVE}


@dataclass(frozen=True)
class Ask:
    """One lifecycle call to make: ``state``, ``configure`` or ``activate``."""

    node: str
    what: str
    until_ns: int


@dataclass
class Watched:
    """What is known of one node."""

    phase: str = WAITING
    heard_ns: int | None = None
    evidence_seq: int = 0
    evidence_age_s: float = -1.0
    is_stuck: bool = False
    boot_id: int = 0
    before: tuple[int, int] = (0, 0)
    """The boot id under this name before, and when it was last heard [ns]."""
    restarts_ns: deque[int] = field(default_factory=deque)
    not_before_ns: int = 0
    reason: str = "not heard yet"


class Watch:
    """Watches the nodes of one graph. ``spare`` ones do not stop the arm when they are lost.

    At the start they are waited for in their place as the others are, but no longer than ``start_s`` in all.

    ``works_s`` says by node how long a piece of its work may take [s]; what is not in it works when it is asked to.
    """

    def __init__(
        self,
        names: Sequence[str],
        spare: Sequence[str],
        safety: SafetyParams,
        start_s: float,
        lost_s: float,
        works_s: Mapping[str, float],
    ) -> None:
        self.nodes = {name: Watched() for name in names}
        self._spare, self._safety, self._works_s = frozenset(spare), safety, dict(works_s)
        self._start_s, self._lost_s = start_s, lost_s
        self._asked: Ask | None = None
        self._is_started = False
        self._looked_ns: int | None = None
        self._began_ns: int | None = None
        self._poll_ns, self._polled = 0, 0
        self.faults: list[str] = []
        """Sentences that stop the arm, newest last; the caller takes them away."""

    def heard(self, name: str, boot_id: int, seq: int, evidence_age_s: float, now_ns: int) -> None:
        """Note a heartbeat. Another boot id is a new process under an old name; a negative age is idle by design.

        Stuck is what has done nothing since the beat before either: a process that was stopped and goes on is not.
        """
        if (node := self.nodes.get(name)) is None:
            return
        if node.phase == ACTIVE and boot_id != node.boot_id:
            is_double = boot_id == node.before[0] and (now_ns - node.before[1]) / 1e9 <= self._lost_s
            self._lose(name, node, DOUBLE if is_double else "restarted by itself", now_ns)
        bound_s = self._works_s.get(name)
        in_time = bound_s is None or evidence_age_s < 0.0 or evidence_age_s <= bound_s
        node.is_stuck = not in_time and (boot_id, seq) == (node.boot_id, node.evidence_seq)
        if boot_id != node.boot_id:
            node.before = (node.boot_id, node.heard_ns or now_ns)
        node.boot_id = boot_id
        node.heard_ns, node.evidence_seq, node.evidence_age_s = now_ns, seq, evidence_age_s

    def look(self, now_ns: int) -> None:
        """Find who has gone silent. A watcher that slept itself accuses nobody of its own gap."""
        lost_ns = round(self._lost_s * 1e9)
        slept_ns = now_ns - self._looked_ns if self._looked_ns is not None else 0
        self._looked_ns = now_ns
        for name, node in self.nodes.items():
            if node.heard_ns is not None and slept_ns > lost_ns // 2:
                node.heard_ns = min(node.heard_ns + slept_ns, now_ns)
            if node.phase == ACTIVE and self._silent_s(node, now_ns) > self._lost_s:
                self._lose(name, node, f"silent for more than {self._lost_s:g} s", now_ns)
            elif node.phase == ACTIVE and node.is_stuck:
                self._lose(name, node, f"at one piece of work for more than {self._works_s[name]:g} s", now_ns)

    def _silent_s(self, node: Watched, now_ns: int) -> float:
        return math.inf if node.heard_ns is None else (now_ns - node.heard_ns) / 1e9

    def _lose(self, name: str, node: Watched, why: str, now_ns: int) -> None:
        node.phase, node.reason = LOST, why
        node.restarts_ns.append(now_ns)
        while now_ns - node.restarts_ns[0] > self._safety.restart_window_s * 1e9:
            node.restarts_ns.popleft()
        if len(node.restarts_ns) > self._safety.restarts:
            node.phase = GIVEN_UP
            node.reason = f"lost {len(node.restarts_ns)} times in {self._safety.restart_window_s:g} s; last: {why}"
        if name not in self._spare:
            self.faults.append(f"{name}: {node.reason}")

    # -- bringing up ---------------------------------------------------------------------

    def due(self, now_ns: int) -> Ask | None:
        """Return the next call to make, or None while one is under way or none is needed."""
        if self._began_ns is None:
            self._began_ns = now_ns
        if self._asked and now_ns < self._asked.until_ns:
            return None
        if self._asked:
            self.answered(self._asked, "", now_ns)
        for name, node in self.nodes.items():
            if node.phase in (ACTIVE, GIVEN_UP):
                continue
            is_here = self._silent_s(node, now_ns) <= self._lost_s and not node.is_stuck
            if is_here and now_ns >= node.not_before_ns:
                return self._ask(name, STEPS.get(node.phase, "state"), now_ns)
            is_late = (now_ns - self._began_ns) / 1e9 > self._start_s
            if not self._is_started and not (name in self._spare and is_late):
                return None  # at the start strictly in order; later nobody waits for a lost one
        self._is_started = True
        return self._poll(now_ns)

    def _poll(self, now_ns: int) -> Ask | None:
        """Ask the active ones in turn: one that restarted between two beats is not active."""
        active = [name for name, node in self.nodes.items() if node.phase == ACTIVE]
        if not active or now_ns < self._poll_ns:
            return None
        self._poll_ns, self._polled = now_ns + round(_POLL_S * 1e9), self._polled + 1
        return self._ask(active[self._polled % len(active)], "state", now_ns)

    def _ask(self, name: str, what: str, now_ns: int) -> Ask:
        within_s = self._start_s if what == "configure" else max(_ANSWER_S, self._lost_s)
        self._asked = Ask(name, what, now_ns + round(within_s * 1e9))
        return self._asked

    def answered(self, ask: Ask, state: str, now_ns: int) -> None:
        """Note the lifecycle state after a call, or "" for a call that failed."""
        if self._asked == ask:
            self._asked = None
        node = self.nodes[ask.node]
        if node.phase == GIVEN_UP:
            return
        if node.phase == ACTIVE:
            if ask.what == "state" and state not in ("", ACTIVE):
                self._lose(ask.node, node, f"found {state}, not active", now_ns)
            return
        if state in (UNCONFIGURED, INACTIVE, ACTIVE):
            node.phase, node.reason = state, ""
            node.heard_ns = now_ns if state == ACTIVE or node.heard_ns is None else node.heard_ns
        else:
            node.phase, node.reason = WAITING, f"{ask.what} failed"
            node.not_before_ns = now_ns + round(_AGAIN_S * 1e9)

    def missing(self) -> str:
        """Name the first node that once worked, without which the arm may not move, and that does not; else blank."""
        absent = (n for n, node in self.nodes.items() if node.phase != ACTIVE and n not in self._spare)
        return next(absent, "") if self._is_started else ""

    def all_active(self) -> bool:
        """True when every node works."""
        return all(node.phase == ACTIVE for node in self.nodes.values())
