"""F01: the camera stops delivering."""

from __future__ import annotations

import pytest
from casebook import SLACK_MS, Case
from promises import PERIOD_MS, PROPOSAL_MS, STALE, TICK_MS, goes_on_by_itself, holds, no_action, still_ns
from rig import FaultStack

FRAME_MS = 300.0
ENDS_MS = 2000.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F01")]


def test_arm_holds_and_acts_on_no_old_frame_when_the_camera_stalls(graph: FaultStack, case: Case) -> None:
    case.by("camera.stall")
    bound_ms = FRAME_MS + PROPOSAL_MS + TICK_MS
    with graph.fault("camera.stall") as since_ns:
        holds(graph, case, since_ns, STALE, bound_ms)
        ended_ns, state = graph.episodes.first(since_ns, lambda e: bool(e.outcome))
        case.within("episode ended as truncated", ended_ns - since_ns, ENDS_MS + bound_ms)
        assert state.outcome == "aborted" and state.reason
        no_action(graph, case, still_ns(since_ns, FRAME_MS + PERIOD_MS + SLACK_MS), "acts on an old frame")
    goes_on_by_itself(graph, case)
