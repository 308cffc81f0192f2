"""What happens to practice, and what practice wants done: the words of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Direction, Verdict
from armtune_policies.store.nouns import PRACTICE, EpisodeState

from .course import Move
from .motion import Leg


@dataclass(frozen=True)
class Begin:
    """A person asks for practice; 0 is no limit."""

    episodes: int = 0
    steps: int = 0
    purpose: str = PRACTICE
    """Of a demonstration a person begins, shows and ends each episode; of evaluation the policy acts, and nothing is
    counted or learnt."""
    direction: str = ""
    """Of every episode; blank for what comes next."""


@dataclass(frozen=True)
class Cancel:
    """A person, or the end of the process, wants it to stop."""

    reason: str


@dataclass(frozen=True)
class Resume:
    """A person says that what practice waits for is done."""


@dataclass(frozen=True)
class Pause:
    """A person wants a break, once the episode that is on is over."""


@dataclass(frozen=True)
class Reset:
    """A person wants to lay the scene anew, once the episode that is on is over."""


@dataclass(frozen=True)
class Told:
    """What an operator says of the episode; ``last_step`` is the newest whole step of it."""

    key: str
    last_step: int = -1


@dataclass(frozen=True)
class GateUp:
    """The gate is armed and not stopped."""


@dataclass(frozen=True)
class GateDown:
    """The gate is stopped or not armed."""

    reason: str


@dataclass(frozen=True)
class Fit:
    """Whether the machine is fit for another episode; what is wrong with it, blank for nothing."""

    reason: str = ""


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
    still: bool = False
    """Whether nothing has moved for as many steps as end an episode."""
    held: bool = False
    """Whether the gate held the arm then and the step before, or a person had it held in this episode."""
    moved: bool = True
    """Whether the tool or the gripper did anything in the episode so far."""


@dataclass(frozen=True)
class Nudged:
    """The nudge is over; ``made`` unless nobody knew where to push."""

    made: bool = True
    passed: tuple[tuple[float, ...], ...] = ()
    """The states (7,) that ended the legs of its route."""


@dataclass(frozen=True)
class Stands:
    """Where the thing to take hold of stands, x, y [m], as the arm knows for sure; nothing where it does not."""

    at_m: tuple[float, ...] = ()


@dataclass(frozen=True)
class Learnt:
    """How the learner stands: the newest ended episode it knows, and what it owes before another may begin."""

    newest: str
    owed: int
    given_up: bool = False


@dataclass(frozen=True)
class Lost:
    """The policy no longer holds the arm, or steps have stopped."""

    reason: str


Event = (
    Begin | Cancel | Resume | Pause | Reset | Told | GateUp | GateDown | AtHome | HomeFailed | Elapsed | Judged | Lost
    | Nudged | Learnt | Fit | Stands
)  # fmt: skip


@dataclass(frozen=True)
class Announce:
    """Publish where practice stands."""

    state: EpisodeState


@dataclass(frozen=True)
class GoHome:
    """Take the arm and bring it home, until ``LetGo``."""


@dataclass(frozen=True)
class Nudge:
    """Bring elsewhere what the last episode, of ``direction``, failed at or put down; ``Nudged`` ends it."""

    direction: Direction
    number: int
    """The so-manieth push of the run."""
    move: Move = "nudge"


@dataclass(frozen=True)
class Follow:
    """Bring the hand along a route."""

    legs: tuple[Leg, ...]


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


Command = Announce | GoHome | Nudge | Follow | LetGo | Wait | Finish
