"""Answers in step order, each by its deadline; what is late is unknown. Pure."""

from __future__ import annotations

from armtune_policies.contract import Verdict


class Judge:
    """Collects the reward answers of one episode.

    Answers may come in any order and late; ``due`` hands them out in step order, each
    step once. After its deadline a step is unknown, and an answer that comes later cannot
    change what was handed out.
    """

    def __init__(self, deadline_s: float, opening: float = 0.0, waits_for_sight: bool = False) -> None:
        """Make one.

        Args:
            deadline_s: How long an answer may take.
            opening: A yes counts as no unless the gripper was open that far (0..1) when its step began.
            waits_for_sight: Whether a step is judged only once it was seen, too: then what is judged does not depend
                on which of two topics is quicker.
        """
        self._waits_for_sight = waits_for_sight
        self._deadline_ns, self._opening = round(deadline_s * 1e9), opening
        self._is_open_now = opening <= 0.0
        self.clear()

    def clear(self) -> None:
        """Forget everything, before the next episode."""
        self._next = 0
        self._due_ns: list[int] = []
        self._is_open: list[bool] = []
        self._answers: dict[int, Verdict] = {}
        self._seen: set[int] = set()

    def moved(self, opening: float) -> None:
        """Note how far the gripper is open; where nobody says it, or NaN, a vote that asks for it never completes."""
        self._is_open_now = opening >= self._opening or self._opening <= 0.0

    def ticked(self, step: int, now_ns: int) -> None:
        """Note that ``step`` began: its answer, and any earlier one, is due from now on."""
        while len(self._due_ns) <= step:
            self._due_ns.append(now_ns + self._deadline_ns)
            self._is_open.append(self._is_open_now)

    def saw(self, step: int, opening: float, now_ns: int) -> None:
        """Note how far the gripper was open in a step's own observation, which knows better than ``moved``."""
        self.ticked(step, now_ns)
        self._seen.add(step)
        if step >= self._next:
            self._is_open[step] = opening >= self._opening or self._opening <= 0.0

    def answered(self, step: int, verdict: Verdict, now_ns: int) -> None:
        """Note an answer; the first one for a step counts."""
        self.ticked(step, now_ns)
        self._answers.setdefault(step, verdict)

    def due(self, now_ns: int) -> list[tuple[int, Verdict]]:
        """Return (step, verdict) of every step that can be judged now, in order."""
        judged = []
        while self._next < len(self._due_ns):
            step = self._next
            is_known = step in self._answers and (step in self._seen or not self._waits_for_sight)
            if not is_known and now_ns < self._due_ns[step]:
                break
            said = self._answers.get(step, Verdict.UNKNOWN)
            judged.append((step, said if said != Verdict.YES or self._is_open[step] else Verdict.NO))
            self._next += 1
        return judged
