"""Whether the node that was asked to practise is still the one there is."""

from __future__ import annotations

from typing import Any

from armtune_policies.store.nouns import IDLE


class Lives:
    """``why`` is blank while ``episode_node`` is the one that was asked; one started anew is idle and never answers."""

    def __init__(self) -> None:
        self._was_busy, self.why = False, ""

    def heard(self, state: Any) -> None:
        """Take in where practice stands, an ``EpisodeState``."""
        if self._was_busy and state.phase == IDLE:
            self.why = "episode_node was started anew"
        self._was_busy |= state.phase != IDLE
