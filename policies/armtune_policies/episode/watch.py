"""Whether the arm is still in the hands of the policy, or of a person who corrects it. Pure."""

from __future__ import annotations

HANDS = ("policy", "teleop")
GRACE_S = 0.5
"""Two topics of one process may overtake each other; a loss counts after so long."""


class PolicyWatch:
    """Notes steps, who has the arm, and how long the gate holds it during one episode; says when it was lost."""

    def __init__(self, stall_s: float, held_s: float) -> None:
        self._stall_s, self._held_s = stall_s, held_s
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Start over, at the beginning of an episode."""
        self._moved_ns = now_ns
        self._has_stepped = False
        self._holder = ""
        self._gone_ns: int | None = None
        self._held, self._held_ns = "", now_ns

    def stepped(self, now_ns: int) -> None:
        """Note a step of this episode."""
        self._moved_ns, self._has_stepped, self._gone_ns = now_ns, True, None

    def holder(self, source: str, now_ns: int) -> None:
        """Note who the gate says holds the arm, blank for nobody."""
        self._holder = source
        if source in HANDS:
            self._gone_ns = None
        elif self._has_stepped and self._gone_ns is None:
            self._gone_ns = now_ns

    def held(self, why: str, now_ns: int) -> None:
        """Note why the gate holds the arm, blank when it does not."""
        if not why or not self._held:
            self._held_ns = now_ns
        self._held = why

    def excuse(self, now_ns: int) -> None:
        """A person holds the arm on purpose: nothing of this time counts."""
        self._moved_ns = self._held_ns = now_ns
        self._gone_ns = None if self._gone_ns is None else now_ns

    def lost(self, now_ns: int) -> str:
        """Return why the episode cannot go on, blank if it can."""
        if self._gone_ns is not None and (now_ns - self._gone_ns) / 1e9 >= GRACE_S:
            return f"the policy lost the arm; {self._holder or 'nobody'} holds it"
        if self._held and (now_ns - self._held_ns) / 1e9 >= self._held_s:
            return f"held for {self._held_s} s: {self._held}"
        if (now_ns - self._moved_ns) / 1e9 >= self._stall_s:
            return f"no step for {self._stall_s} s"
        return ""
