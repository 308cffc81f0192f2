"""Dataclasses as messages and back, on real messages."""

from __future__ import annotations

import pytest

from armtune_interfaces import msg
from armtune_policies.contract import Decision, Kind, Mode, Proposal
from armtune_safety.controller import Controller
from armtune_safety.wire import message_of, value_of

PROPOSAL = Proposal("e", 3, "policy", 4, 5, 1_200_000_007, "spec", "v1", Kind.JOINT_TARGET, (0.5, -1.0))


def test_proposal_comes_back_as_it_was_when_sent_as_a_message() -> None:
    m = message_of(msg.Proposal, PROPOSAL)
    assert (m.observation_stamp.sec, m.observation_stamp.nanosec, m.kind) == (1, 200_000_007, 1)
    assert value_of(Proposal, m) == PROPOSAL


def test_others_come_first_when_a_field_is_given_twice() -> None:
    assert message_of(msg.Proposal, PROPOSAL, source="teleop", stamp=msg.Proposal().stamp).source == "teleop"


def test_controller_is_read_from_its_message() -> None:
    said = Controller(7, "sim", ("a",), (-1.0,), (1.0,), (2.0,), 0.1, fault="lost", warning="60 C")
    assert value_of(Controller, message_of(msg.ControllerState, said)) == said


def test_number_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="9"):
        value_of(Proposal, msg.Proposal(kind=9))


def test_mode_becomes_a_number_when_sent() -> None:
    fields = dict.fromkeys(("episode_id", "source", "policy_version", "refused"), "")
    numbers = dict.fromkeys(("stamp_ns", "boot_id", "step", "seq", "observation_stamp_ns", "lease"), 1)
    decision = Decision(
        **fields, **numbers, kind=Kind.TOOL_DELTA, proposed=(), allowed=(1.0,), limited_by=("reach",), mode=Mode.HOLD
    )
    m = message_of(msg.Decision, decision)
    assert (m.mode, list(m.allowed), list(m.limited_by), m.stamp.nanosec) == (2, [1.0], ["reach"], 1)
