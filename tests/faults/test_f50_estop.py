"""F50: the e-stop is pressed while the arm moves, and released. Its line cut: ``safety/test_gate_node.py``."""

from __future__ import annotations

import time

import pytest
from casebook import Case
from promises import TICK_MS, stops
from rig import FaultStack

PRESSED, WIRE_MS = "e-stop pressed", 10.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F50")]


@pytest.mark.parametrize("phase", ["acting", "homing"])
def test_arm_stops_at_once_and_a_release_alone_moves_nothing(cycling: FaultStack, case: Case, phase: str) -> None:
    case.by("the topic estop: pressed in motion, then released")
    cycling.estop(False)
    cycling.moving(phase)
    since_ns = time.monotonic_ns()
    cycling.estop(True)
    stops(cycling, case, since_ns, PRESSED, TICK_MS + WIRE_MS)
    case.nothing("cleared while pressed", not cycling.clear(PRESSED))
    case.nothing("armed while pressed", not cycling.arm())
    cycling.estop(False)
    cycling.wait(lambda: not cycling.clear(PRESSED), "released, and cleared by its name")
    since_ns = time.monotonic_ns()
    case.nothing("resumes at the release", cycling.stays(since_ns, 0.3) > 0.01 or cycling.gate.last.armed)
