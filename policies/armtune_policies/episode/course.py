"""Which direction is tried next, and what is done about a scene in which nothing succeeds. Pure.

One set of rules for practice through ROS (``machine``) and in one process (``learn.finetune``). A success hands over
to the other direction, a failure tries again, and after ``max_failures`` in a row the other is tried all the same: a
judge that misses a standing success would otherwise freeze practice. A direction that is solved before it begins is
passed over and never counted. Before a retry the arm pushes what it failed at; when both directions keep failing it
tries harder; then a person is asked. So no scene is tried for ever. Nor is one tried alone: a policy puts things down
where it always does, and the other direction would be practised from there only (Zhu et al. 2020, 2004.12570, perturb
for the same reason); what is to begin anywhere is pushed about first, and a loose thing carried elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from armtune_policies.contract import DIRECTIONS, Direction, opposite

Move = Literal["try", "nudge", "scatter", "carry", "recover", "reset", "ask"]

AFTER_SUCCESS = ("scatter", "carry")
"""Moves of what a success put down, before the other direction is tried."""


@dataclass(frozen=True)
class Rules:
    """When what is done; 0 is never, but for ``max_failures``."""

    max_failures: int
    """Failures in a row in one direction before the other is tried."""
    nudge: int = 0
    """Failures without a success after which each try begins with a nudge."""
    stuck: int = 0
    """Failures without a success, in both directions together, after which practice is stuck."""
    recoveries: int = 0
    """Tries that then begin with recovery moves, before a person is asked."""
    reset_every: int = 0
    """Episodes between two scenes laid anew by a person."""
    scatter: str = ""
    """The direction before which what a success put down is brought elsewhere, pushed if need be."""
    carries: bool = False
    """Whether it is carried elsewhere before either direction, where the arm can."""


@dataclass
class Counts:
    """Where practice stands; plain numbers, kept over a kill."""

    episodes: int = 0
    steps: int = 0
    updates: int = 0
    successes_forward: int = 0
    successes_backward: int = 0
    failures_in_a_row: int = 0
    since_success: int = 0
    rescues: int = 0
    nudges: int = 0
    scatters: int = 0
    lifts: int = 0
    forced: int = 0
    solved_starts: int = 0
    stalls: int = 0
    resets: int = 0
    direction: Direction = DIRECTIONS[0]
    recoveries: int = 0
    since_reset: int = 0
    solved_in_a_row: int = 0
    episodes_forward: int = 0
    episodes_backward: int = 0


class Course:
    """Counts what happens and says what comes next."""

    def __init__(self, rules: Rules, counts: Counts | None = None) -> None:
        self.rules, self.counts = rules, counts or Counts()

    def begin(self) -> None:
        """A person has looked, and lets practice begin: what failed in a row before is another matter."""
        c = self.counts
        c.failures_in_a_row = c.since_success = c.since_reset = c.solved_in_a_row = 0

    def move(self) -> Move:
        """Return what has to come before the next try."""
        rules, c = self.rules, self.counts
        if c.solved_in_a_row > 1 or (rules.stuck and c.since_success >= rules.stuck + rules.recoveries):
            return "ask"
        if rules.reset_every and c.since_reset >= rules.reset_every:
            return "reset"
        if rules.stuck and c.since_success >= rules.stuck:
            return "recover"
        if c.since_success == 0 < c.since_reset and (rules.carries or rules.scatter == c.direction):
            return "scatter" if rules.scatter == c.direction else "carry"
        return "nudge" if rules.nudge and c.since_success >= rules.nudge else "try"

    def why_asked(self) -> str:
        """Return what a person is to know, where ``move`` says to ask."""
        if self.counts.solved_in_a_row > 1:
            return "the judge says that both directions are solved"
        return f"stuck: {self.counts.since_success} failures in a row, in both directions"

    def ended(self, is_success: bool) -> bool:
        """Note an episode that was judged; return whether the direction is flipped without a success."""
        c, way = self.counts, self.counts.direction
        c.episodes, c.since_reset, c.solved_in_a_row = c.episodes + 1, c.since_reset + 1, 0
        for name in (f"episodes_{way}", *([f"successes_{way}"] if is_success else [])):
            setattr(c, name, getattr(c, name) + 1)
        c.failures_in_a_row = 0 if is_success else c.failures_in_a_row + 1
        c.since_success = 0 if is_success else c.since_success + 1
        is_forced = c.failures_in_a_row >= self.rules.max_failures
        c.forced += is_forced
        if is_success or is_forced:
            self._turn()
        return is_forced

    def solved(self) -> None:
        """Pass over a direction that was solved before it began: neither a success nor a failure."""
        self.counts.solved_starts += 1
        self.counts.solved_in_a_row += 1
        self._turn()

    def moved(self, move: Move) -> None:
        """Note that the arm made a nudge, scattered or made recovery moves."""
        self.counts.nudges += move == "nudge"
        self.counts.scatters += move in AFTER_SUCCESS
        self.counts.recoveries += move == "recover"

    @property
    def pushes(self) -> int:
        """How often the arm pushed something, for whatever reason."""
        return self.counts.nudges + self.counts.scatters + self.counts.recoveries

    def helped(self, move: Move) -> None:
        """Note that a person laid the scene anew: as planned, or because practice was stuck."""
        c = self.counts
        c.resets, c.since_reset, c.since_success, c.solved_in_a_row = c.resets + 1, 0, 0, 0
        if move == "ask":
            c.rescues, c.failures_in_a_row = c.rescues + 1, 0

    def _turn(self) -> None:
        self.counts.direction, self.counts.failures_in_a_row = opposite(self.counts.direction), 0
