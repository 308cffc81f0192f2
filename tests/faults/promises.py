"""What several rows promise alike: asserted in one place, noted in the row's case."""

from __future__ import annotations

import time

from casebook import Case
from rig import MS, FaultStack

from armtune_policies.contract import Mode
from armtune_safety.managed_node import to_ns

STALE = "no fresh proposal"
PROPOSAL_MS, TICK_MS, PERIOD_MS, BRAKING_MS = 300.0, 10.0, 200.0, 150.0
"""The proposal's bound, the gate's tick, a step of the policy, what an arm at full speed takes to rest by its log."""
WATCH_S = 0.6
"""How long a row watches that nothing happens."""


def holds(graph: FaultStack, case: Case, since_ns: int, reason: str, bound_ms: float) -> int:
    """HOLD for a reason within a bound, and the arm at rest after braking; return when it rested."""
    case.within("HOLD", graph.says(since_ns, Mode.HOLD, reason) - since_ns, bound_ms)
    return rests(graph, case, since_ns, bound_ms)


def stops(graph: FaultStack, case: Case, since_ns: int, reason: str, bound_ms: float) -> int:
    """A latched STOP for a reason within a bound, and the arm at rest after braking; return when it rested."""
    case.within("STOP", graph.says(since_ns, Mode.STOP, reason) - since_ns, bound_ms)
    return rests(graph, case, since_ns, bound_ms)


def rests(graph: FaultStack, case: Case, since_ns: int, bound_ms: float, what: str = "at rest") -> int:
    """The arm at rest by its own log; return since when."""
    rested_ns = graph.rest_ns(since_ns)
    case.within(what, rested_ns - since_ns, bound_ms + BRAKING_MS)
    return rested_ns


def stays_down(graph: FaultStack, case: Case) -> None:
    """After the fault is over nothing moves by itself; arming is refused until each latch is cleared."""
    since_ns = time.monotonic_ns()
    case.nothing("motion after STOP until cleared and armed", graph.stays(since_ns, WATCH_S) > 0.01)
    case.nothing("armed again by itself", graph.gate.last.armed)
    case.nothing("armed with the latch uncleared", not graph.arm())
    assert not any(graph.clear(latch) for latch in graph.gate.last.latches), "the fault is over, so it can be cleared"


def no_action(graph: FaultStack, case: Case, since_ns: int, what: str) -> None:
    """No step was acted on by the policy from a moment on, or from the step after the one in which the fault began."""
    since_ns = max(since_ns, still_ns(graph.injected_ns, PERIOD_MS))
    wall_ns = time.time_ns() - time.monotonic_ns()  # by the gate's stamps: what it said may reach us late
    said = [d for _, d in graph.decisions.since(since_ns) if to_ns(d.stamp) - wall_ns >= since_ns]
    acted = [d.step for d in said if d.source == "policy"]
    case.nothing(what, acted)


def goes_on_by_itself(graph: FaultStack, case: Case, within_s: float = 20.0) -> None:
    """A HOLD ends with its cause: nobody clears or arms, and practice goes on."""
    assert graph.gate.last.armed, f"stopped: {graph.gate.last.reasons}"
    graph.moving(timeout_s=within_s, rearm=False)


def still_ns(t_ns: int, after_ms: float) -> int:
    """A moment so many milliseconds later."""
    return t_ns + round(after_ms * MS)
