"""F09: commands from before the gate was started reach it."""

from __future__ import annotations

import signal

import pytest
from casebook import Case
from hand import REST, Hand, always
from rig import FaultStack

from armtune_interfaces import msg, srv
from armtune_policies.contract import topics
from armtune_safety.managed_node import LATCHED_QOS

pytestmark = [pytest.mark.slow, pytest.mark.fault("F09")]


def test_new_gate_refuses_what_was_meant_for_the_old_one(graph: FaultStack, case: Case) -> None:
    case.by("a stored proposal and an old lease, the gate killed and started anew")
    old = graph.gate.last.boot_id
    with Hand(graph, always(REST)) as hand:
        hand.does(2)
        stored = hand.proposal(graph.ticks.last, [0.04, 0, 0, 0, 0, 0, 1], {})
        hand.answer = lambda _: []
    latched = graph.stack.node.create_publisher(msg.Proposal, graph.full(topics.proposal("teleop")), LATCHED_QOS)
    latched.publish(stored)
    killed_ns = graph.signal("gate_node", signal.SIGKILL)
    graph.gate.first(killed_ns, lambda g: g.boot_id != old, 30.0)
    refused = graph.call(srv.Arm, topics.ARM, srv.Arm.Request(boot_id=old))
    case.nothing("armed by who never saw this gate", refused.accepted)
    graph.recover()
    case.nothing("a stored message reaches the new gate", [k for k in graph.refusals() if k.startswith("teleop")])
    latched.publish(stored)
    graph.wait(lambda: any(k.startswith("teleop") for k in graph.refusals()), "the old command refused", 2.0)
    acted = [d.step for _, d in graph.decisions.since(killed_ns) if d.source == "teleop"]
    case.nothing("a first move without arming", acted)
    graph.stack.node.destroy_publisher(latched)
