"""F44: a node that crashes again and again."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from layers import LOST_MS, NODES, goes_on
from promises import PROPOSAL_MS, STALE, TICK_MS, holds
from stage import Stage

from armtune_safety.settings import SPARE
from fixtures.up import gone

LOOPS = ("policy_node", *(node for node in (*NODES, "gate_node") if node not in ("policy_node", *SPARE)))
HAS = {"transfer_node": ("learner=remote", "learner.port=0"), "console_node": ("console=local", "console.port=0")}
"""What a graph has a spare node by, where not by default."""

pytestmark = [pytest.mark.slow, pytest.mark.fault("F44")]


@pytest.mark.parametrize("node", [LOOPS[0], *(pytest.param(n, marks=pytest.mark.every_phase) for n in LOOPS[1:])])
def test_graph_stays_down_and_says_why_when_a_node_crashes_again_and_again(stage: Stage, case: Case, node: str) -> None:
    case.by("kill -9 of each node, again as soon as it is back")
    graph = stage.fresh("safety.restarts=1")
    graph.moving()
    nodes, first = graph.up.nodes(), graph.up.node(node)
    since_ns = graph.signal(node, signal.SIGKILL)
    if node == "policy_node":
        holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
    graph.up.node(node, other_than=first)
    killed_ns = graph.signal(node, signal.SIGKILL)
    assert graph.up.ends(timeout_s=20.0) != 0
    assert f"{node} ended by SIGKILL, its respawns are spent (1 of 1 within 60 s)" in graph.up.said
    case.within("at rest at the end", graph.log.last_motion_ns(killed_ns) - killed_ns, LOST_MS)
    case.nothing("endless respawn", graph.up.said.count(f"{node}: ended by SIGKILL; respawn") > 1)
    case.nothing("a node left running", [name for name, pid in nodes.items() if not gone(pid)])


@pytest.mark.parametrize("node", SPARE)
def test_practice_goes_on_without_one_that_only_learns_or_shows_and_crashes_again_and_again(
    stage: Stage, case: Case, node: str
) -> None:
    case.by("kill -9 of what only learns or shows, again as soon as it is back")
    graph = stage.fresh("safety.restarts=1", *HAS.get(node, ()))
    graph.moving()
    first = graph.up.node(node)
    graph.signal(node, signal.SIGKILL)
    graph.up.node(node, other_than=first)
    since_ns = graph.signal(node, signal.SIGKILL)
    graph.up.until_said(f"{node} ended by SIGKILL, its respawns are spent (1 of 1 within 60 s)")
    goes_on(graph, case, since_ns, node, "acting")
    case.nothing("endless respawn", graph.up.said.count(f"{node}: ended by SIGKILL; respawn") > 1)
    assert "it stays down until the graph is started again, the others go on" in graph.up.said
    assert node not in graph.up.nodes()
