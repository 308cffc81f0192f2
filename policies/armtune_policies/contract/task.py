"""A task pair: the task and the un-task, each a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .checked import Checked, choice, num, text

Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, Direction] = ("forward", "backward")


@dataclass(frozen=True, kw_only=True)
class TaskPair(Checked):
    """Two sentences the arm practises in turn; each undoes the other."""

    name: str = text(doc="short name, as in `task=drawer`")
    forward: str = text(doc="sentence of the task")
    backward: str = text(doc="sentence of the un-task")
    episode_steps: int = num(40, low=1, high=10_000, doc="control steps before an episode is truncated")
    scatter: str = choice("", of=("", *DIRECTIONS), doc="direction that is to begin anywhere; blank: neither")
    carries: bool = text(
        False, doc="whether it is a loose thing: the arm knows where it put it, and carries it elsewhere"
    )

    @property
    def as_shown(self) -> dict[str, Any]:
        """What its demonstrations and measurements depend on: all but how practice goes about it."""
        return {name: value for name, value in asdict(self).items() if name not in ("scatter", "carries")}

    @property
    def practised(self) -> dict[str, Any]:
        """What practice in one process reads of it."""
        return {name: getattr(self, name) for name in ("episode_steps", "scatter", "carries")}

    def sentence(self, direction: Direction) -> str:
        return {"forward": self.forward, "backward": self.backward}[direction]


def opposite(direction: Direction) -> Direction:
    """The direction that undoes this one."""
    return "backward" if direction == "forward" else "forward"
