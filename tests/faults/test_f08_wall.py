"""F08: the arm runs into something."""

from __future__ import annotations

import numpy as np
import pytest
from casebook import Case
from hand import Hand, always
from promises import BRAKING_MS
from rig import FaultStack

from armtune_policies.contract import Kind, Mode

SPRINGS_BACK_MS = 200.0
FINDS_IT_S, SETTLES_NS, FOLLOWS_RAD = 10.0, 400_000_000, 0.5
ONWARDS = [0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
AHEAD = [0.0, 0.35, -0.47, 0.0, 1.69, 0.0, 0.5]
"""Joints with the tool at (0.38, 0, 0.20) m."""

pytestmark = [pytest.mark.slow, pytest.mark.fault("F08")]


def test_arm_holds_where_it_is_when_it_is_driven_into_a_wall(graph: FaultStack, case: Case) -> None:
    case.by("arm.wall before a source that drives the joints into it (it hides the arm from the camera: F02)")
    case.owes(
        "giving way ends the tracking error, so a wall alone leads to HOLD; the STOP after 500 ms is tested on the core"
    )
    with Hand(graph, always(AHEAD, kind=int(Kind.JOINT_TARGET))) as hand, graph.fault("arm.wall") as since_ns:
        held_ns = graph.says(since_ns, Mode.HOLD, "tracking lost", FINDS_IT_S)
        hand.answer = lambda _: []
        rested_ns = graph.rest_ns(held_ns)
        case.within("at rest after HOLD", rested_ns - held_ns, BRAKING_MS + SPRINGS_BACK_MS)
        graph.stays(rested_ns, 1.0)
        log = graph.witness.log(rested_ns + SETTLES_NS)
        case.nothing("pushes on", np.abs(log.setpoint - log.measured)[:, :-1].max() > FOLLOWS_RAD)
        case.nothing("opens the gripper", np.ptp(graph.log.opening(rested_ns)) > 0.05)
        case.nothing("drives home by itself", np.ptp(log.measured[:, :-1], axis=0).max() > 0.05)


def test_arm_holds_when_a_source_goes_on_pushing_against_a_wall(graph: FaultStack, case: Case) -> None:
    case.by("arm.wall before a source of tool deltas")
    with Hand(graph, always(ONWARDS)) as hand:
        hand.does(1)
        with graph.fault("arm.wall") as since_ns:
            graph.says(since_ns, Mode.HOLD, "tracking lost", 3.0)
