"""F38: the simulated clock stops, or goes back."""

from __future__ import annotations

import signal
import time

import pytest
from builtin_interfaces.msg import Time
from casebook import Case
from layers import signalled
from promises import TICK_MS, stays_down, stops
from rig import FaultStack
from rosgraph_msgs.msg import Clock
from stage import Stage

from armtune_policies.contract import Mode, topics
from armtune_safety.managed_node import COMMAND_QOS

AGE_MS, BARRIER_MS = 100.0, 5000.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F38")]


def test_watchdogs_fire_as_usual_when_the_clock_stands_or_goes_back(graph: FaultStack, case: Case) -> None:
    case.by("a /clock that stands, then goes back, in real time; joints.stall under it")
    clock = graph.stack.node.create_publisher(Clock, topics.CLOCK, COMMAND_QOS)
    since_ns = time.monotonic_ns()
    for seconds in (100, 100, 50):
        clock.publish(Clock(clock=Time(sec=seconds)))
        graph.stays(time.monotonic_ns(), 0.4)
    case.needless("stopped by /clock", [m.reasons for _, m in graph.gate.since(since_ns) if m.mode == Mode.STOP])
    with graph.fault("joints.stall") as stalled_ns:
        stops(graph, case, stalled_ns, "joint states stale", AGE_MS + TICK_MS)
    case.nothing("a watchdog stalls with /clock", not graph.gate.last.latches)
    stays_down(graph, case)
    graph.stack.node.destroy_publisher(clock)


def test_lockstep_goes_on_with_a_damaged_clock_and_stops_without_barriers(stage: Stage, case: Case) -> None:
    case.by("clock.stop and clock.back in lockstep; then SIGSTOP of the simulator")
    graph = stage.fresh("experiment.time=lockstep")
    graph.recover()
    for fault in ("clock.stop", "clock.back"):
        with graph.fault(fault):
            now_ns = time.monotonic_ns()
            graph.decisions.first(now_ns, lambda d: d.source == "policy", 20.0)
    case.needless("stopped by /clock in lockstep", not graph.gate.last.armed)
    with signalled(graph, "sim_node", signal.SIGSTOP) as since_ns:
        stopped_ns = graph.says(
            since_ns, Mode.STOP, "", 15.0
        )  # the barrier's bound, or the supervisor's, which is the same
        case.within("lockstep: STOP without barriers", stopped_ns - since_ns, BARRIER_MS + 200.0)
