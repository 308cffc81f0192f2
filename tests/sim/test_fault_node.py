"""The fault injector between a real simulator and who listens, over DDS."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces.msg import ControllerState, Proposal
from armtune_interfaces.srv import InjectFault
from armtune_policies.contract import TaskPair, topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, LATCHED_QOS, to_ns, to_stamp
from armtune_sim.faults import FAULTS
from armtune_sim.gated import default_gate
from armtune_sim.settings import FaultNodeParams, SimNodeParams, SimParams
from harness import WAIT_S, Stack

GATE = default_gate()
ROBOT = GATE.robot
NAMES = [*ROBOT.joints, ROBOT.finger_joint]
HOME = [*ROBOT.home_rad, ROBOT.gripper_open_m]
TASK = TaskPair(name="bin_sort", forward="put the peg in the bin", backward="take the peg out of the bin")
MODULE = "armtune_sim.fault_node"
IMAGE, POLICY = topics.image("front"), topics.proposal("policy")


def says(is_simulated: bool) -> ControllerState:
    return ControllerState(boot_id=1, name="arm", is_simulated=is_simulated)


class Relay:
    """Both ends of the relay: what goes in on ``faulty/...``, what comes out on the normal topics."""

    def __init__(self, stack: Stack, time_: str = "real") -> None:
        self.stack, qos = stack, COMMAND_QOS if time_ == "lockstep" else CAMERA_QOS
        self.controller = stack.node.create_publisher(ControllerState, topics.CONTROLLER_STATE, LATCHED_QOS)
        self.controller.publish(says(is_simulated=True))
        self.out = {
            topics.JOINT_STATES: (JointState, COMMAND_QOS),
            POLICY: (Proposal, COMMAND_QOS),
            IMAGE: (Image, qos),
            topics.camera_info("front"): (CameraInfo, qos),
        }
        if time_ == "lockstep":
            self.out[topics.CLOCK] = (Clock, COMMAND_QOS)
        stack.bring_up(MODULE, "fault_node", FaultNodeParams(time=time_))
        self.heard = {topic: stack.listen(topic, kind, qos) for topic, (kind, qos) in self.out.items()}
        self.into = {t: stack.publisher(topics.faulty(t), kind, qos) for t, (kind, qos) in self.out.items()}
        stack.until(lambda: all(stack.node.count_publishers(t) == 1 for t in self.out), what="one publisher a topic")
        self.seq = 0

    def inject(self, name: str, on: bool = True, value: float = 0.0) -> str:
        request = InjectFault.Request(name=name, on=on, value=float(value))

        def answered() -> bool:
            self.answer = self.stack.call(InjectFault, topics.INJECT_FAULT, request)
            return "no controller has said yet" not in self.answer.reason

        self.stack.until(answered, what="the relay hearing the controller")
        assert self.answer.done is not bool(self.answer.reason), self.answer
        return self.answer.reason

    def through(self, topic: str, message: object) -> object:
        """Send one message; return the next that comes out."""
        count = len(self.heard[topic])
        self.into[topic].publish(message)
        self.stack.until(lambda: len(self.heard[topic]) > count, what=f"something on {topic}")
        return self.heard[topic][count]

    def nothing_comes(self, topic: str, message: object) -> None:
        """Send one message; another topic's that was sent after it comes, it does not."""
        count, other = len(self.heard[topic]), topics.JOINT_STATES if topic != topics.JOINT_STATES else POLICY
        self.into[topic].publish(message)
        self.through(other, joints() if other == topics.JOINT_STATES else self.proposal())
        assert len(self.heard[topic]) == count

    def proposal(self) -> Proposal:
        self.seq += 1
        values = [0.01, -0.02, 0.03, 0.0, 0.1, -0.1, 0.5]
        m = Proposal(episode_id="e", step=self.seq, source="policy", seq=self.seq, spec_digest="a1", values=values)
        m.stamp = m.observation_stamp = to_stamp(5 * 10**9)
        return m


def joints(at: float = 0.1) -> JointState:
    m = JointState(name=NAMES, position=[at + i for i in range(7)], velocity=[float(i) for i in range(7)])
    m.header.stamp = to_stamp(7 * 10**9)
    return m


def image(level: int = 7) -> Image:
    m = Image(height=4, width=5, encoding="rgb8", step=15, data=bytes([level]) * 59 + b"\1")
    m.header.stamp = to_stamp(7 * 10**9)
    return m


@pytest.fixture
def relay(stack: Stack) -> Iterator[Relay]:
    yield Relay(stack)


def test_every_message_comes_out_as_it_went_in_when_no_fault_is_on(stack: Stack) -> None:
    relay = Relay(stack, "lockstep")
    relay.inject("joints.nan")
    relay.inject("joints.nan", on=False)
    sent = {
        topics.JOINT_STATES: joints(),
        POLICY: relay.proposal(),
        IMAGE: image(),
        topics.camera_info("front"): CameraInfo(height=4, width=5, d=[0.0] * 5, k=[1.0] * 9),
        topics.CLOCK: Clock(clock=to_stamp(3 * 10**9)),
    }
    for topic, message in sent.items():
        assert relay.through(topic, message) == message, topic


@pytest.mark.parametrize("name", [name for name in FAULTS if name.endswith("stall")])
def test_nothing_comes_until_it_is_switched_off_when_a_topic_is_stalled(relay: Relay, name: str) -> None:
    topic = {"camera": IMAGE, "joints": topics.JOINT_STATES, "policy": POLICY}[name.split(".")[0]]
    make = {IMAGE: image, topics.JOINT_STATES: joints, POLICY: relay.proposal}[topic]
    assert relay.inject(name) == ""
    relay.nothing_comes(topic, make())
    assert relay.inject(name, on=False) == ""
    message = make()
    assert relay.through(topic, message) == message


def test_pictures_are_damaged_as_named(relay: Relay) -> None:
    relay.inject("camera.freeze")
    relay.through(IMAGE, image(1))
    later = image(2)
    later.header.stamp = to_stamp(8 * 10**9)
    frozen = relay.through(IMAGE, later)
    assert frozen.data == image(1).data and frozen.header == later.header
    relay.inject("camera.freeze", on=False)
    relay.inject("camera.black")
    assert not any(relay.through(IMAGE, image()).data)
    relay.inject("camera.black", on=False)
    relay.inject("camera.corrupt", value=1)
    assert len(relay.through(IMAGE, image()).data) == 30
    relay.inject("camera.corrupt", on=False)
    relay.inject("camera.future", value=2.5)
    assert to_ns(relay.through(IMAGE, image()).header.stamp) == 9_500_000_000


def test_joint_states_are_damaged_as_named(relay: Relay) -> None:
    relay.inject("joints.freeze")
    relay.through(topics.JOINT_STATES, joints(0.1))
    assert relay.through(topics.JOINT_STATES, joints(0.2)).position == joints(0.1).position
    relay.inject("joints.freeze", on=False)
    relay.inject("joints.nan", value=3)
    assert [i for i, v in enumerate(relay.through(topics.JOINT_STATES, joints()).position) if math.isnan(v)] == [2]
    relay.inject("joints.nan", on=False)
    relay.inject("joints.drop_name")
    dropped = relay.through(topics.JOINT_STATES, joints())
    assert list(dropped.name) == NAMES[1:] and len(dropped.position) == 6
    relay.inject("joints.drop_name", on=False)
    relay.inject("joints.shuffle")
    shuffled = relay.through(topics.JOINT_STATES, joints())
    assert list(shuffled.name) != NAMES
    assert dict(zip(shuffled.name, shuffled.position)) == dict(zip(NAMES, joints().position))


def test_proposals_are_damaged_as_named(relay: Relay) -> None:
    relay.inject("policy.nan", value=7)
    assert math.isnan(relay.through(POLICY, relay.proposal()).values[6])
    relay.inject("policy.nan", on=False)
    relay.inject("policy.huge")
    assert list(relay.through(POLICY, relay.proposal()).values[:3]) == [10.0, -10.0, 10.0]
    relay.inject("policy.huge", on=False)
    relay.inject("policy.wrong_spec")
    assert relay.through(POLICY, relay.proposal()).spec_digest == "ff"
    relay.inject("policy.wrong_spec", on=False)
    relay.inject("policy.future")
    assert to_ns(relay.through(POLICY, relay.proposal()).observation_stamp) == 15 * 10**9


def test_proposals_come_late_again_or_out_of_order_as_named(relay: Relay) -> None:
    relay.inject("policy.slow", value=0.3)
    start_s = time.monotonic()
    late = relay.proposal()
    assert relay.through(POLICY, late) == late
    assert 0.3 <= time.monotonic() - start_s < 1.0
    relay.inject("policy.slow", value=10.0)
    relay.nothing_comes(POLICY, relay.proposal())
    relay.inject("policy.slow", on=False)
    relay.inject("policy.reorder")
    first = relay.proposal()
    assert relay.through(POLICY, first) == first
    second, count = relay.proposal(), len(relay.heard[POLICY])
    relay.into[POLICY].publish(second)
    relay.stack.until(lambda: relay.heard[POLICY][count:] in ([second, first], [first]), what="an older one after it")


def test_clock_stops_and_goes_back_as_named(stack: Stack) -> None:
    relay = Relay(stack, "lockstep")
    relay.inject("clock.back", value=2.0)
    assert to_ns(relay.through(topics.CLOCK, Clock(clock=to_stamp(5 * 10**9))).clock) == 3 * 10**9
    relay.inject("clock.back", on=False)
    relay.inject("clock.stop")
    relay.nothing_comes(topics.CLOCK, Clock(clock=to_stamp(6 * 10**9)))


def test_injection_is_refused_in_one_sentence_when_it_is_unknown_or_out_of_range(relay: Relay) -> None:
    assert "unknown fault 'camera.melt'; known: camera.stall" in relay.inject("camera.melt")
    assert "expected seconds late in [0.001, 10], got nan" in relay.inject("policy.slow", value=math.nan)
    assert "expected no value, got 3" in relay.inject("joints.stall", value=3.0)
    assert "the simulated arm does not answer" in relay.inject("arm.wall")
    message = joints()
    assert relay.through(topics.JOINT_STATES, message) == message


def test_injection_is_refused_when_no_controller_said_that_it_is_simulated(stack: Stack) -> None:
    stack.bring_up(MODULE, "fault_node", FaultNodeParams())
    answer = stack.call(InjectFault, topics.INJECT_FAULT, InjectFault.Request(name="joints.nan", on=True))
    assert not answer.done and "no controller has said yet" in answer.reason


def test_node_ends_and_cannot_be_started_again_when_the_arm_is_a_real_one(stack: Stack) -> None:
    controller = stack.node.create_publisher(ControllerState, topics.CONTROLLER_STATE, LATCHED_QOS)
    controller.publish(says(is_simulated=False))
    process = stack.start(MODULE, "fault_node", FaultNodeParams())
    stack.transition("fault_node", 1)
    assert process.wait(timeout=10) == 78
    assert "not a simulated one; start without sim.faults=true" in stack.log("fault_node")


# -- with the simulator itself ---------------------------------------------------------------


def simulator(stack: Stack, folder: Path, **more: object) -> None:
    sim = SimNodeParams(robot=ROBOT, task=TASK, sim=SimParams(faults=True), mjcf=GATE.mjcf, **more)
    both = (topics.JOINT_STATES, topics.INJECT_FAULT, IMAGE, topics.camera_info("front"), topics.CLOCK)
    stack.bring_up("armtune_sim.sim_node", "sim_node", sim, [(name, topics.faulty(name)) for name in both])
    stack.bring_up(MODULE, "fault_node", FaultNodeParams(time=sim.time))


def moved(waist_rad: float) -> JointTrajectory:
    return JointTrajectory(joint_names=NAMES, points=[JointTrajectoryPoint(positions=[HOME[0] + waist_rad, *HOME[1:]])])


def switch(stack: Stack, name: str, on: bool) -> None:
    request, end_s = InjectFault.Request(name=name, on=on), time.monotonic() + WAIT_S
    answer = stack.call(InjectFault, topics.INJECT_FAULT, request)
    while (
        "has said yet" in answer.reason and time.monotonic() < end_s
    ):  # the relay is up before it has met the controller
        answer = stack.call(InjectFault, topics.INJECT_FAULT, request)
    assert answer.done, answer.reason


def test_wall_stops_the_arm_until_it_is_taken_away(stack: Stack, tmp_path: Path) -> None:
    simulator(stack, tmp_path)
    heard = stack.listen(topics.JOINT_STATES, JointState, COMMAND_QOS)
    setpoint = stack.publisher(topics.SETPOINT, JointTrajectory, COMMAND_QOS)
    asked = 0.0

    def stream() -> None:
        nonlocal asked
        asked = min(0.9, asked + 0.01)
        setpoint.publish(moved(asked))

    def behind() -> float:
        return HOME[0] + asked - heard[-1].position[0]

    stack.until(lambda: len(heard) > 10, what="joint states")
    stack.node.create_timer(0.01, stream)
    stack.until(lambda: asked > 0.2, what="the arm on its way")
    switch(stack, "arm.wall", on=True)
    stack.until(lambda: asked >= 0.9 and abs(heard[-1].velocity[0]) < 0.05, what="the arm at rest at the wall")
    assert behind() > 0.2
    switch(stack, "arm.wall", on=False)
    stack.until(lambda: abs(behind()) < 0.01, what="the arm where it was asked to be")


def test_barrier_is_answered_through_the_relay_when_in_lockstep(stack: Stack, tmp_path: Path) -> None:
    simulator(stack, tmp_path, time="lockstep")
    heard = stack.listen(topics.JOINT_STATES, JointState, COMMAND_QOS)
    stack.listen(topics.CLOCK, Clock, COMMAND_QOS)
    setpoint = stack.publisher(topics.SETPOINT, JointTrajectory, COMMAND_QOS)
    switch(stack, "joints.freeze", on=True)
    stack.until(lambda: bool(heard), what="a joint state")
    for step in range(1, 4):
        stamp_ns = to_ns(heard[-1].header.stamp)
        path = moved(0.0)
        path.header.stamp = to_stamp(stamp_ns)
        path.points = [JointTrajectoryPoint(positions=[HOME[0] + 0.02 * step, *HOME[1:]])] * 20
        setpoint.publish(path)
        stack.wait_for(
            topics.JOINT_STATES, JointState, lambda m, old=stamp_ns: to_ns(m.header.stamp) > old, qos=COMMAND_QOS
        )
    assert np.ptp([m.position[0] for m in heard]) < 1e-12  # fresh stamps, positions that stand still
    stack.wait_for(topics.CLOCK, Clock, lambda m: to_ns(m.clock) == to_ns(heard[-1].header.stamp))


def test_relay_adds_little_when_nothing_is_damaged(relay: Relay) -> None:
    took_ms = []
    for _ in range(200):
        start_s = time.perf_counter()
        count = len(relay.heard[topics.JOINT_STATES])
        relay.into[topics.JOINT_STATES].publish(joints())
        with relay.stack._changed:
            assert relay.stack._changed.wait_for(lambda: len(relay.heard[topics.JOINT_STATES]) > count, timeout=2.0)  # noqa: B023
        took_ms.append((time.perf_counter() - start_s) * 1e3)
    assert statistics.median(took_ms) < 10.0, f"there and on: {statistics.median(took_ms):.2f} ms"
