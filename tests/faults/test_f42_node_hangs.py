"""F42: SIGSTOP of each node, in each phase of practice."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from layers import LOOK_MS, LOST_MS, arm_rests, attended_cases, cases, device_dies, phases, signalled
from promises import goes_on_by_itself, holds
from rig import FaultStack

pytestmark = [pytest.mark.slow, pytest.mark.fault("F42")]


@pytest.mark.parametrize(("node", "phase"), cases(acting_only=True))
def test_arm_rests_when_a_node_hangs(cycling: FaultStack, case: Case, node: str, phase: str) -> None:
    case.by("SIGSTOP of each node in each phase")
    arm_rests(cycling, case, node, phase, signal.SIGSTOP)


@pytest.mark.parametrize(("node", "phase"), attended_cases())
def test_arm_rests_when_device_or_console_hangs(attended: FaultStack, case: Case, node: str, phase: str) -> None:
    arm_rests(attended, case, node, phase, signal.SIGSTOP)


@pytest.mark.every_phase
def test_arm_rests_when_the_device_hangs_that_holds_it(attended: FaultStack, case: Case) -> None:
    case.by("SIGSTOP of the operator's device in mid-motion")
    device_dies(attended, case, signal.SIGSTOP)


@pytest.mark.parametrize("phase", phases("acting"))
def test_arm_holds_while_the_supervisor_hangs(cycling: FaultStack, case: Case, phase: str) -> None:
    case.by("SIGSTOP of the supervisor")
    cycling.reach(phase)
    with signalled(cycling, "supervisor_node", signal.SIGSTOP) as since_ns:
        holds(cycling, case, since_ns, "supervisor silent", LOST_MS + LOOK_MS)
    if phase not in ("idle", "paused"):  # there nothing was to go on
        goes_on_by_itself(cycling, case)
