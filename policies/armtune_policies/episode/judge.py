"""Answers in step order, each by its deadline; what is late is unknown. Pure."""

from __future__ import annotations

from armtune_policies.contract import Verdict


class Judge:
    """Collects the reward answers of one episode.

    Answers may come in any order and late; ``due`` hands them out in step order, each
    step once. After its deadline a step is unknown, and an answer that comes later cannot
    change what was handed out.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_ns = round(deadline_s * 1e9)
        self.clear()

    def clear(self) -> None:
        """Forget everything, before the next episode."""
        self._next = 0
        self._due_ns: list[int] = []
        self._answers: dict[int, Verdict] = {}

    def ticked(self, step: int, now_ns: int) -> None:
        """Note that ``step`` began: its answer, and any earlier one, is due from now on."""
        while len(self._due_ns) <= step:
            self._due_ns.append(now_ns + self._deadline_ns)

    def answered(self, step: int, verdict: Verdict, now_ns: int) -> None:
        """Note an answer; the first one for a step counts."""
        self.ticked(step, now_ns)
        self._answers.setdefault(step, verdict)

    def due(self, now_ns: int) -> list[tuple[int, Verdict]]:
        """Return (step, verdict) of every step that can be judged now, in order."""
        judged = []
        while self._next < len(self._due_ns):
            step = self._next
            if step not in self._answers and now_ns < self._due_ns[step]:
                break
            judged.append((step, self._answers.get(step, Verdict.UNKNOWN)))
            self._next += 1
        return judged
