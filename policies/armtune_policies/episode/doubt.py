"""Whether successes are believable: a policy may find a pose that fools the reward, and nobody sees it at night. Pure.

Two signs: the success rate jumped (``reward.audit``), or several successes in a row came without motion to speak of.
Each asks a person to look, once; it does not say what is true.
"""

from __future__ import annotations

from armtune_policies.reward.audit import AuditParams, jumps


class Doubt:
    """Feed it every judged episode in order; ``take`` says once why practice should wait for a look."""

    def __init__(self, idle: int, by_rate: bool, params: AuditParams | None = None) -> None:
        """Begin anew.

        Args:
            idle: Successes in a row without motion that raise a question; 0: never.
            by_rate: Whether a jump of the success rate does.
            params: What is a jump.
        """
        self._idle, self._by_rate, self._params = idle, by_rate, params or AuditParams()
        self._outcomes: list[bool] = []
        self._unmoved = 0
        self._why = ""

    def ended(self, is_success: bool, has_moved: bool) -> None:
        """Note an episode that was judged, and whether the tool or the gripper did anything in it."""
        self._outcomes.append(is_success)
        if is_success:
            self._unmoved = 0 if has_moved else self._unmoved + 1
        if self._idle and self._unmoved >= self._idle:
            self._why, self._unmoved = f"{self._idle} successes in a row without motion", 0
        elif self._by_rate and jumps(self._outcomes, self._params):
            self._why, self._outcomes = "the success rate jumped", []

    def take(self) -> str:
        """Return what to look into, blank for nothing, and forget it."""
        why, self._why = self._why, ""
        return f"see whether its successes are real, then resume: {why}" if why else ""
