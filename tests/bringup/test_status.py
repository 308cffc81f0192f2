"""What a graph says of itself, in plain values."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from armtune_bringup.status import missing


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
