"""What a graph says of itself, in plain values."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from armtune_bringup.status import missing, status
from armtune_interfaces.msg import EpisodeState, GateState, PolicyState


def summary(**levels: bytes) -> DiagnosticArray:
    """A supervisor's summary; each node's message is its level."""
    statuses = [DiagnosticStatus(name=name, level=level, message=f"at {level[0]}") for name, level in levels.items()]
    return DiagnosticArray(status=statuses)


def test_first_node_that_is_not_up_is_named_while_a_graph_starts() -> None:
    assert missing(None) == "the supervisor was not heard"
    waits = summary(
        gate_node=DiagnosticStatus.OK, policy_node=DiagnosticStatus.WARN, learner_node=DiagnosticStatus.WARN
    )
    assert missing(waits) == "policy_node is at 1"


def test_nothing_is_missing_when_the_others_work_and_one_is_lost() -> None:
    assert missing(summary(gate_node=DiagnosticStatus.OK, learner_node=DiagnosticStatus.ERROR)) == ""


def test_who_acts_is_not_said_while_policies_are_evaluated() -> None:
    policy = PolicyState(active_version="head-7")
    for purpose, shown in (("practice", "head-7"), ("evaluation", "hidden while it is evaluated")):
        assert status("arm", GateState(), EpisodeState(purpose=purpose), policy)["policy"] == shown
