"""What one practice came to, whatever its run held before. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from armtune_policies.contract import Direction
from armtune_policies.store.nouns import ABORTED, SUCCESS


@dataclass(frozen=True)
class Tally:
    """What practice came to; aborted episodes count as steps only."""

    episodes: int = 0
    steps: int = 0
    forward_episodes: int = 0
    forward_successes: int = 0
    backward_episodes: int = 0
    backward_successes: int = 0

    def with_episode(self, direction: Direction, outcome: str, steps: int) -> Tally:
        if outcome == ABORTED:
            return replace(self, steps=self.steps + steps)
        tried, done = f"{direction}_episodes", f"{direction}_successes"
        counts = {tried: getattr(self, tried) + 1, done: getattr(self, done) + (outcome == SUCCESS)}
        return replace(self, episodes=self.episodes + 1, steps=self.steps + steps, **counts)
