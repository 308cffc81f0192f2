"""F05: joint states stop coming, or never came."""

from __future__ import annotations

import pytest
from casebook import Case
from promises import TICK_MS, stays_down, stops
from rig import FaultStack

AGE_MS = 100.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F05")]


def test_arm_stops_when_joint_states_stall(graph: FaultStack, case: Case) -> None:
    case.by("joints.stall")
    with graph.fault("joints.stall") as since_ns:
        stops(graph, case, since_ns, "joint states stale", AGE_MS + TICK_MS)
        case.nothing("armed on invented joint states", not graph.arm())
    stays_down(graph, case)
