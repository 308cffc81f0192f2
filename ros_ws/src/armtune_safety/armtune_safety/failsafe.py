"""What slows, holds and stops the arm, as a table: facts -> mode, reasons, latches. Pure.

One row a fault, one sentence a row. Conditions say what is good and negate it, so that an
age that is not a number counts as stale. A latched row stays until cleared by its name;
STOP also disarms, and arming is always explicit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from armtune_policies.contract import HOLD_REQUESTED, OPERATOR_LOST, SINGULAR, WALL, Mode

from .settings import SafetyParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at one moment. The defaults are the worst: never seen equals stale."""

    armed: bool = False
    arming: bool = False
    """True only while somebody asks to arm: then what is wanted before the first move counts, too."""
    estop: bool = False
    stop_requested: bool = False
    hold_requested: bool = False
    operator_lost: bool = False
    lease_held: bool = False
    doubled: int = 2
    controller_fit: bool = False
    supervisor_age_s: float = math.inf
    joint_age_s: float = math.inf
    joints_steady_s: float = 0.0
    joint_refusals: int = 0
    joints_frozen_s: float = 0.0
    cameras_unsure: int = 1
    unfit: int = 1
    tracking_m: float = math.inf
    tracking_rad: float = math.inf
    blocked_s: float = 0.0
    tracking_lost_s: float = 0.0
    proposal_age_s: float = math.inf
    period_s: float = 0.2
    proposals_missed: float = 1.0
    outside_in_a_row: int = 0
    is_singular: bool = False
    near_limits_ago_s: float = 0.0
    missed_ago_s: float = 0.0
    strained_ago_s: float = 0.0
    is_lockstep: bool = False
    barrier_age_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Rule:
    """``broken`` sees the facts and the bounds; ``mode`` is what follows."""

    name: str
    mode: Mode
    broken: Callable[[Facts, SafetyParams], bool]
    latched: bool = False
    judged: bool = False
    """Proposals are still judged under it, for a good one ends it."""


FROZEN = "joint states frozen"
STALE = "no fresh proposal"
NOBODY = "nobody holds the arm"
LOST = "tracking lost for too long"
PRESSED = frozenset({FROZEN, LOST})
"""What stops an arm that presses against something, as a fault of its own may; who looks at it knows which."""
MOVED = "camera not where it was calibrated"
UNFIT = "machine not fit"
UNSTEADY = "too many proposals missed"


def _latch(name: str, broken: Callable[[Facts, SafetyParams], bool]) -> Rule:
    return Rule(name, Mode.STOP, broken, latched=True)


RULES = (
    _latch("e-stop pressed", lambda f, s: f.estop),
    _latch("stop requested", lambda f, s: f.stop_requested),
    _latch("controller not read back", lambda f, s: f.armed and not f.controller_fit),
    _latch("joint states stale", lambda f, s: f.armed and not f.joint_age_s <= s.joint_state_age_s),
    _latch("joint states unusable", lambda f, s: f.armed and not f.joint_refusals < s.joint_refusals),
    _latch(FROZEN, lambda f, s: f.armed and not f.joints_frozen_s < s.frozen_s),
    _latch(MOVED, lambda f, s: f.armed and f.cameras_unsure != 0),
    _latch(LOST, lambda f, s: f.armed and not f.tracking_lost_s <= s.tracking_lost_s),
    _latch("lockstep barrier", lambda f, s: f.armed and f.is_lockstep and not f.barrier_age_s <= s.barrier_s),
    Rule("joint states not steady yet", Mode.STOP, lambda f, s: f.arming and not f.joints_steady_s >= s.steady_s),
    Rule("supervisor not heard", Mode.STOP, lambda f, s: f.arming and not f.supervisor_age_s <= supervisor_s(f, s)),
    Rule(UNFIT, Mode.STOP, lambda f, s: f.arming and f.unfit != 0),
    Rule("not armed", Mode.STOP, lambda f, s: not f.armed),
    Rule("two publishers on one topic", Mode.HOLD, lambda f, s: f.doubled != 0),
    Rule(HOLD_REQUESTED, Mode.HOLD, lambda f, s: f.hold_requested),
    Rule(OPERATOR_LOST, Mode.HOLD, lambda f, s: f.operator_lost),
    Rule("supervisor silent", Mode.HOLD, lambda f, s: not f.supervisor_age_s <= supervisor_s(f, s)),
    Rule("tracking lost", Mode.HOLD, lambda f, s: is_away(f.tracking_m, f.tracking_rad, f.blocked_s, s)),
    Rule(NOBODY, Mode.HOLD, lambda f, s: not f.lease_held),
    Rule(STALE, Mode.HOLD, lambda f, s: not f.proposal_age_s <= proposal_limit_s(s, f.period_s), judged=True),
    Rule(UNSTEADY, Mode.HOLD, lambda f, s: not f.proposals_missed <= s.missed_hold, judged=True),
    Rule(WALL, Mode.HOLD, lambda f, s: not f.outside_in_a_row < s.outside_in_a_row, judged=True),
    Rule(SINGULAR, Mode.HOLD, lambda f, s: f.is_singular, judged=True),
    Rule("near a limit of the arm", Mode.SLOW, lambda f, s: not f.near_limits_ago_s > s.slow_s),
    Rule("proposals missed", Mode.SLOW, lambda f, s: not f.missed_ago_s > s.slow_s),
    Rule("arm strained", Mode.SLOW, lambda f, s: not f.strained_ago_s > s.slow_s),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome of the table: the rows in force, in its order, and the latches to carry on."""

    rules: tuple[Rule, ...]
    latches: frozenset[str]

    @property
    def mode(self) -> Mode:
        """The highest active mode wins."""
        return max((rule.mode for rule in self.rules), default=Mode.RUN)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in self.rules)

    @property
    def blocked(self) -> bool:
        """True when no proposal could move the arm, however good."""
        return any(rule.mode >= Mode.HOLD and not rule.judged for rule in self.rules)

    @property
    def slow(self) -> bool:
        """True when what moves moves slowly."""
        return any(rule.mode is Mode.SLOW for rule in self.rules)

    @property
    def waits(self) -> bool:
        """True when the gate merely waits for the next source or its proposal."""
        return {rule.name for rule in self.rules if rule.mode >= Mode.HOLD} <= {NOBODY, STALE}


def decide(facts: Facts, safety: SafetyParams, latched: frozenset[str]) -> Standing:
    """Ask every row; those latched before stay in force."""
    rules = tuple([rule for rule in RULES if rule.name in latched or rule.broken(facts, safety)])
    return Standing(rules, latched.union([rule.name for rule in rules if rule.latched]))


def is_away(tracking_m: float, tracking_rad: float, blocked_s: float, safety: SafetyParams) -> bool:
    """True when the arm is not where it was told to be: blocked, or its state frozen."""
    near = tracking_m <= safety.tracking_lost_m and tracking_rad <= safety.tracking_lost_rad
    return not (near and blocked_s <= safety.blocked_s)


def proposal_limit_s(safety: SafetyParams, period_s: float) -> float:
    """How old the last accepted proposal may be [s]."""
    return min(safety.proposal_age_periods * period_s, safety.proposal_age_s)


def supervisor_s(facts: Facts, safety: SafetyParams) -> float:
    """How long the supervisor may be silent [s]; in lockstep the wall has the barrier's bound alone."""
    return safety.barrier_s if facts.is_lockstep else safety.heartbeat_lost_s
