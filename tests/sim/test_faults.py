"""The table of faults: pure, message by message."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, Image, JointState

from armtune_interfaces.msg import Proposal
from armtune_policies.contract import ConfigError
from armtune_sim import faults
from armtune_sim.faults import ARM, CLOCK, FAULTS, IMAGE, INFO, JOINTS, PROPOSAL, Injector

SAMPLES = {
    IMAGE: lambda: Image(height=3, width=2, step=6, encoding="rgb8", data=bytes(range(1, 19))),
    INFO: lambda: CameraInfo(height=3, width=2),
    JOINTS: lambda: JointState(name=["a", "b", "c"], position=[0.1, 0.2, 0.3], velocity=[1.0, 2.0, 3.0]),
    PROPOSAL: lambda: Proposal(seq=3, spec_digest="abc", values=[0.1, -0.2, 0.0, 0.0, 0.0, 0.0, 1.0]),
    CLOCK: lambda: SimpleNamespace(clock=SimpleNamespace(sec=100, nanosec=5)),
}
NAMED = [
    *(f"camera.{n}" for n in ("stall", "freeze", "corrupt", "black", "shift", "future")),
    *(f"joints.{n}" for n in ("stall", "freeze", "nan", "drop_name", "shuffle")),
    *(f"policy.{n}" for n in ("nan", "huge", "slow", "repeat", "reorder", "future", "wrong_spec", "stall")),
    "clock.stop",
    "clock.back",
    "arm.wall",
]


def test_table_has_every_fault_by_its_name() -> None:
    assert sorted(FAULTS) == sorted(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_only_what_a_fault_names_is_damaged_and_only_while_it_is_on(name: str) -> None:
    injector = Injector()
    injector.switch(name, True)
    for kind, make in SAMPLES.items():
        for _ in range(3):
            sends = injector.damage(kind, "t", make())
        changed = sends != [(0.0, make())]
        first_is_equal = name in ("camera.freeze", "joints.freeze")  # the same sample each time: freezing shows nothing
        assert changed == (kind in FAULTS[name].damages and not first_is_equal), kind
        assert injector.touches(kind) == (kind in FAULTS[name].damages)
    injector.switch(name, False)
    for kind, make in SAMPLES.items():
        assert injector.damage(kind, "t", make()) == [(0.0, make())]
        assert not injector.touches(kind)


@settings(deadline=None)
@given(st.sampled_from(NAMED), st.floats(), st.sampled_from(list(SAMPLES)), st.integers(1, 12))
def test_no_message_breaks_the_injector_whatever_the_value(name: str, value: float, kind: str, count: int) -> None:
    injector = Injector()
    try:
        injector.switch(name, True, value)
    except ConfigError:
        assert injector.on == {}
        return
    for _ in range(count):
        for later_s, _message in injector.damage(kind, "t", SAMPLES[kind]()):
            assert 0.0 <= later_s <= 10.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMED), st.booleans()), max_size=12))
def test_all_is_whole_again_when_everything_is_switched_off_in_any_order(moves: list[tuple[str, bool]]) -> None:
    injector = Injector()
    for name, on in moves:
        injector.switch(name, on)
        for kind, make in SAMPLES.items():
            injector.damage(kind, "t", make())
    for name, _ in moves:
        injector.switch(name, False)
    for kind, make in SAMPLES.items():
        assert injector.damage(kind, "t", make()) == [(0.0, make())]


@pytest.mark.parametrize("kind", range(1, len(faults.CORRUPTIONS) + 1))
def test_frame_says_something_impossible_when_it_is_corrupt(kind: int) -> None:
    injector = Injector()
    injector.switch("camera.corrupt", True, float(kind))
    ((_, m),) = injector.damage(IMAGE, "t", SAMPLES[IMAGE]())
    sound = m.encoding == "rgb8" and (m.height, m.width, m.step) == (3, 2, 6) and len(m.data) == 18
    assert not sound


def test_every_kind_of_corruption_comes_in_turn_when_none_is_named() -> None:
    injector = Injector()
    injector.switch("camera.corrupt", True)
    seen = [injector.damage(IMAGE, "t", SAMPLES[IMAGE]())[0][1] for _ in range(len(faults.CORRUPTIONS))]
    assert len({(m.height, m.width, m.step, m.encoding, len(m.data)) for m in seen}) == len(faults.CORRUPTIONS)


@settings(deadline=None)
@given(st.permutations(range(7)), st.integers(1, 20))
def test_numbers_stay_with_their_names_when_joints_are_shuffled(order: list[int], count: int) -> None:
    injector = Injector()
    injector.switch("joints.shuffle", True)
    name, position = [f"j{i}" for i in order], [float(i) for i in order]
    for _ in range(count):
        ((_, m),) = injector.damage(JOINTS, "t", JointState(name=name, position=position, velocity=position))
        assert list(m.name) != name
        assert dict(zip(m.name, m.position)) == dict(zip(name, position))
        assert list(m.velocity) == list(m.position)


def test_picture_stands_still_for_each_camera_by_itself_when_frozen() -> None:
    injector = Injector()
    injector.switch("camera.freeze", True)
    for topic, level in (("front", 1), ("wrist", 2), ("front", 3), ("wrist", 4)):
        ((_, m),) = injector.damage(IMAGE, topic, Image(data=bytes([level])))
        assert m.data[0] == (1 if topic == "front" else 2)


def test_faults_of_one_topic_add_up() -> None:
    injector = Injector()
    injector.switch("policy.slow", True, 0.25)
    injector.switch("policy.repeat", True, 3.0)
    injector.switch("policy.nan", True, 2.0)
    sends = injector.damage(PROPOSAL, "t", SAMPLES[PROPOSAL]())
    assert [later_s for later_s, _ in sends] == [0.25] * 3
    assert all(math.isnan(m.values[1]) for _, m in sends)


def test_older_proposal_follows_each_when_reordered() -> None:
    injector, seqs = Injector(), []
    injector.switch("policy.reorder", True)
    for seq in (1, 2, 3):
        seqs += [m.seq for _, m in injector.damage(PROPOSAL, "t", Proposal(seq=seq))]
    assert seqs == [1, 2, 1, 3, 2]


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999), st.floats(0.01, 3600.0))
def test_time_goes_back_by_what_was_asked_and_not_before_zero(sec: int, nanosec: int, back_s: float) -> None:
    injector = Injector()
    injector.switch("clock.back", True, back_s)
    message = SimpleNamespace(clock=SimpleNamespace(sec=sec, nanosec=nanosec))
    ((_, m),) = injector.damage(CLOCK, "t", copy.deepcopy(message))
    was_ns, is_ns = sec * 10**9 + nanosec, m.clock.sec * 10**9 + m.clock.nanosec
    assert is_ns == max(0, was_ns - round(back_s * 1e9)) and 0 <= m.clock.nanosec < 10**9


def test_wall_is_the_arms_own_business() -> None:
    assert set(FAULTS["arm.wall"].damages) == {ARM}
