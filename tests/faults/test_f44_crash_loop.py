"""F44: a node that crashes again and again."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from promises import PROPOSAL_MS, STALE, TICK_MS, holds
from stage import Stage

from fixtures.up import gone

pytestmark = [pytest.mark.slow, pytest.mark.fault("F44")]


def test_graph_stays_down_and_says_why_when_a_node_crashes_again_and_again(stage: Stage, case: Case) -> None:
    case.by("kill -9 of the policy node, again as soon as it is back")
    graph = stage.fresh("safety.restarts=1")
    graph.moving()
    nodes, first = graph.up.nodes(), graph.up.node("policy_node")
    since_ns = graph.signal("policy_node", signal.SIGKILL)
    holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
    graph.up.node("policy_node", other_than=first)
    graph.signal("policy_node", signal.SIGKILL)
    assert graph.up.ends(timeout_s=20.0) != 0
    assert "policy_node ended by SIGKILL, its respawns are spent (1 of 1 within 60 s)" in graph.up.said
    case.nothing("endless respawn", graph.up.said.count("policy_node: ended by SIGKILL; respawn") > 1)
    case.nothing("a node left running", [name for name, pid in nodes.items() if not gone(pid)])
