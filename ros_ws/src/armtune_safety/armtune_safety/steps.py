"""Which step of which episode a control period is. Pure."""

from __future__ import annotations

KEPT = 64
"""Of so many episodes it is known where they stopped; the arm is taken up again for the newest ones only."""


class StepCount:
    """Counts control periods by episode, and those outside any by themselves.

    No two periods are the same step of one episode, whoever had the arm in between.
    """

    def __init__(self) -> None:
        self._newest, self._outside = dict[str, int](), -1

    def take_up(self, episode_id: str) -> None:
        """The arm has another holder, for this episode (blank: for none).

        Steps count from 0 in a new one. In one that had begun they go on but one: the hole says that nothing is to be
        learnt across a change of hands.
        """
        if not episode_id:
            return
        newest = self._newest.pop(episode_id, -1)
        self._newest[episode_id] = newest + (newest >= 0)
        for oldest in list(self._newest)[:-KEPT]:
            del self._newest[oldest]

    def next(self, episode_id: str) -> int:
        """Open a period; return its step."""
        if not episode_id:
            self._outside += 1
            return self._outside
        self._newest[episode_id] += 1
        return self._newest[episode_id]
