"""F43: the gate itself dies, or hangs, while the arm moves."""

from __future__ import annotations

import signal
import time

import pytest
from casebook import Case
from layers import PHASES, phases, signalled
from promises import BRAKING_MS, WATCH_S
from rig import FaultStack

from armtune_policies.contract import Mode

SILENCE_MS = 100.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F43")]


@pytest.mark.parametrize("phase", PHASES)
def test_controller_holds_and_the_new_gate_is_stopped_when_the_gate_is_killed(
    cycling: FaultStack, case: Case, phase: str
) -> None:
    case.by("kill -9 of the gate in each phase")
    cycling.reach(phase)
    old, was_armed, saved = cycling.gate.last.boot_id, cycling.gate.last.armed, cycling.saved()
    with signalled(cycling, "gate_node", signal.SIGKILL) as since_ns:
        controller_holds(cycling, case, since_ns)
    cycling.gate.first(since_ns, lambda g: g.boot_id != old, 30.0)
    new_gate_is_stopped(cycling, case)
    if was_armed:
        cycling.wait(lambda: any("gate-died" in name for name in cycling.saved() - saved), "what led to it, saved")


@pytest.mark.parametrize("phase", phases("acting", "homing"))
def test_controller_holds_while_the_gate_hangs(cycling: FaultStack, case: Case, phase: str) -> None:
    case.by("SIGSTOP of the gate in each phase")
    cycling.reach(phase)
    with signalled(cycling, "gate_node", signal.SIGSTOP) as since_ns:
        controller_holds(cycling, case, since_ns)
        cycling.stays(since_ns, 1.5)
    new_gate_is_stopped(cycling, case)


def controller_holds(graph: FaultStack, case: Case, since_ns: int) -> None:
    rested_ns = graph.rest_ns(since_ns)
    case.within("at rest", rested_ns - since_ns, SILENCE_MS + BRAKING_MS)
    case.nothing("the last velocity runs on", graph.stays(rested_ns, WATCH_S) > 0.02)


def new_gate_is_stopped(graph: FaultStack, case: Case) -> None:
    graph.wait(lambda: graph.all_work() and graph.gate.last.mode == Mode.STOP, "the gate works, in STOP")
    since_ns = time.monotonic_ns()
    case.nothing("motion before it is armed", graph.stays(since_ns, WATCH_S) > 0.02 or graph.gate.last.armed)
