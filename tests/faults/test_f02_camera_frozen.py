"""F02: frames arrive at the right rate, and are always the same one."""

from __future__ import annotations

import pytest
from casebook import SLACK_MS, Case
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

NOTICED_MS = 5 / 30 * 1e3 + 200.0
"""Five frames at 30 Hz, and as long as the circling arm takes for 50 mrad."""

pytestmark = [pytest.mark.slow, pytest.mark.fault("F02")]


def test_arm_holds_when_the_camera_repeats_one_frame(graph: FaultStack, case: Case) -> None:
    case.by("camera.freeze")
    with graph.fault("camera.freeze") as since_ns:
        holds(graph, case, since_ns, STALE, NOTICED_MS + PROPOSAL_MS + TICK_MS)
        since_noticed_ns = still_ns(since_ns, NOTICED_MS + PERIOD_MS + SLACK_MS)
        no_action(graph, case, since_noticed_ns, "counted as healthy because the rate is fine")
    goes_on_by_itself(graph, case)
