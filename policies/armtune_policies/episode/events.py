"""What happens to practice, and what practice wants done: the words of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Verdict
from armtune_policies.store.nouns import EpisodeState


@dataclass(frozen=True)
class Begin:
    """A person asks for practice; 0 is no limit."""

    episodes: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Cancel:
    """A person, or the end of the process, wants it to stop."""

    reason: str


@dataclass(frozen=True)
class Resume:
    """A person says that what practice waits for is done."""


@dataclass(frozen=True)
class GateUp:
    """The gate is armed and not stopped."""


@dataclass(frozen=True)
class GateDown:
    """The gate is stopped or not armed."""

    reason: str


@dataclass(frozen=True)
class AtHome:
    """The arm is at home."""


@dataclass(frozen=True)
class HomeFailed:
    """The arm did not get home in time."""

    reason: str


@dataclass(frozen=True)
class Elapsed:
    """The time of the newest ``Wait`` is over."""


@dataclass(frozen=True)
class Judged:
    """The next step of the episode was judged; steps come in order."""

    step: int
    verdict: Verdict


@dataclass(frozen=True)
class Lost:
    """The policy no longer holds the arm, or steps have stopped."""

    reason: str


Event = Begin | Cancel | Resume | GateUp | GateDown | AtHome | HomeFailed | Elapsed | Judged | Lost


@dataclass(frozen=True)
class Announce:
    """Publish where practice stands."""

    state: EpisodeState


@dataclass(frozen=True)
class GoHome:
    """Take the arm and bring it home, until ``LetGo``."""


@dataclass(frozen=True)
class LetGo:
    """Give the arm back."""


@dataclass(frozen=True)
class Wait:
    """Say ``Elapsed`` after so long, unless another phase comes first."""

    seconds: float


@dataclass(frozen=True)
class Finish:
    """Practice has ended; tell who asked for it."""

    is_cancelled: bool
    reason: str


Command = Announce | GoHome | LetGo | Wait | Finish
