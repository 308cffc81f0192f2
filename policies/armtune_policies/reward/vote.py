"""One bright frame is not a success: k of the last n answers must say yes."""

from __future__ import annotations

from collections import deque

from armtune_policies.contract import Verdict


class SuccessVote:
    """Completes when ``need`` of the last ``window`` steps were answered yes.

    An unknown takes its place in the window and never counts. Steps are added in order,
    one answer each; a vote that has completed stays so until ``clear``.
    """

    def __init__(self, need: int, window: int) -> None:
        """Raises ValueError unless 1 <= need <= window."""
        if not 1 <= need <= window:
            raise ValueError(f"vote: expected 1 <= need <= window, got need {need}, window {window}")
        self._need = need
        self._seen: deque[bool] = deque(maxlen=window)
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        return self._is_complete

    def add(self, answer: Verdict) -> bool:
        """Count one step's answer; True once the vote is complete."""
        self._seen.append(answer is Verdict.YES)
        self._is_complete = self._is_complete or sum(self._seen) >= self._need
        return self._is_complete

    def clear(self) -> None:
        """Forget every answer, before the next episode."""
        self._seen.clear()
        self._is_complete = False


def first_complete(answers: list[Verdict], need: int, window: int) -> int | None:
    """Return the step whose answer completes the vote over a whole episode, or None."""
    vote = SuccessVote(need, window)
    return next((step for step, answer in enumerate(answers) if vote.add(answer)), None)
