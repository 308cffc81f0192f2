"""F42: SIGSTOP of each node, in each phase of practice."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from layers import LOOK_MS, LOST_MS, arm_rests, cases, signalled
from promises import goes_on_by_itself, holds
from rig import FaultStack

pytestmark = [pytest.mark.slow, pytest.mark.fault("F42")]


@pytest.mark.parametrize(("node", "phase"), cases())
def test_arm_rests_when_a_node_hangs(cycling: FaultStack, case: Case, node: str, phase: str) -> None:
    case.by("SIGSTOP of each node in each phase")
    arm_rests(cycling, case, node, phase, signal.SIGSTOP)


def test_arm_holds_while_the_supervisor_hangs(cycling: FaultStack, case: Case) -> None:
    case.by("SIGSTOP of the supervisor")
    cycling.reach("acting")
    with signalled(cycling, "supervisor_node", signal.SIGSTOP) as since_ns:
        holds(cycling, case, since_ns, "supervisor silent", LOST_MS + LOOK_MS)
    goes_on_by_itself(cycling, case)
