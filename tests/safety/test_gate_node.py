"""The gate as a process, with a small perfect arm at the other end of real DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from casebook import Case
from diagnostic_msgs.msg import DiagnosticArray
from gate_rig import gate_params
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from armtune_interfaces.msg import ControllerState, Decision, EpisodeState, GateState, Heartbeat, Proposal, StepTick
from armtune_interfaces.srv import Arm, ClearLatch, Lease
from armtune_policies.contract import ActionSpec, Mode, topics
from armtune_safety.controller import Controller
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, LATCHED_QOS, to_ns, to_stamp
from armtune_safety.wire import message_of
from harness import Stack

DIGEST = ActionSpec().digest
PERIOD_NS = 200_000_000


class LittleArm:
    """Goes where it is told; steps the gate through barriers in lockstep."""

    def __init__(self, stack: Stack, pace: str, **safety: object) -> None:
        self.stack, self.params, self.t_ns = stack, gate_params(pace, **safety), 10**9
        robot = self.params.robot
        self.names = [*robot.joints, robot.finger_joint]
        self.positions = [*robot.home_rad, robot.finger_m(robot.home_gripper)]
        stack.bring_up("armtune_safety.gate_node", "gate_node", self.params)
        self.joints = stack.publisher(topics.JOINT_STATES, JointState, COMMAND_QOS)
        self.proposals = stack.publisher(topics.proposal("policy"), Proposal, COMMAND_QOS)
        self.paths = stack.listen(topics.SETPOINT, JointTrajectory, EVENT_QOS)
        self.ticks = stack.listen(topics.STEP_TICK, StepTick, EVENT_QOS)
        self.decisions = stack.listen(topics.DECISION, Decision, EVENT_QOS)
        self.states = stack.listen(topics.GATE_STATE, GateState, LATCHED_QOS)
        self.lease = self.seq = 0
        self.watch()
        if pace == "real":
            stack.node.create_timer(0.01, self.sense)

    def sense(self) -> None:
        if self.params.time == "real":
            self.t_ns = self.stack.node.get_clock().now().nanoseconds
        if self.params.time == "real" and self.paths:
            self.positions = list(self.paths[-1].points[-1].positions)
        state = JointState(name=self.names, position=self.positions)
        state.header.stamp = to_stamp(self.t_ns)
        self.joints.publish(state)

    def watch(self, silence_s: float = 0.1) -> None:
        """Be a controller that enforces the robot's limits, and a supervisor that is alive and finds nothing."""
        said = Controller.enforcing(self.params.robot, silence_s)
        self.stack.publisher(topics.CONTROLLER_STATE, ControllerState, LATCHED_QOS).publish(
            message_of(ControllerState, said)
        )
        beats = self.stack.publisher(topics.HEARTBEAT, Heartbeat, EVENT_QOS)
        self.stack.node.create_timer(0.2, lambda: beats.publish(Heartbeat(node="supervisor_node")))
        self.stack.publisher(topics.HEALTH, DiagnosticArray, LATCHED_QOS).publish(DiagnosticArray())

    def barrier(self, during: Callable[[], None] = lambda: None) -> JointTrajectory:
        """One lockstep barrier; ``during`` runs while it is open."""
        self.t_ns += PERIOD_NS
        self.sense()
        during()
        path = self.stack.wait_for(topics.SETPOINT, JointTrajectory, lambda m: to_ns(m.header.stamp) == self.t_ns)
        self.positions = list(path.points[-1].positions)
        return path

    def state(self, fits: Callable[[GateState], bool]) -> GateState:
        """Wait until the newest gate state fits."""
        self.stack.until(lambda: bool(self.states) and fits(self.states[-1]), what="gate state")
        return self.states[-1]

    def arm(self) -> Any:
        """Ask to arm; what was read back, and a second of joint states, may still be on their way."""
        request = Arm.Request(boot_id=self.state(lambda s: True).boot_id)
        answer = self.stack.call(Arm, topics.ARM, request)
        end_s = time.monotonic() + 5.0
        while any(reason in answer.reason for reason in ON_THE_WAY) and time.monotonic() < end_s:
            if self.params.time == "lockstep":
                self.barrier()
            answer = self.stack.call(Arm, topics.ARM, request)
        return answer

    def hold_lease(self, episode_id: str = "run-00000") -> None:
        request = Lease.Request(op=Lease.Request.ACQUIRE, source="policy", episode_id=episode_id, duration_s=5.0)
        answer = self.stack.call(Lease, topics.LEASE, request)
        assert answer.granted, answer.reason
        self.lease = answer.lease

    def propose(self, values: list[float], **changes: Any) -> StepTick:
        """Answer the tick of the open barrier."""
        tick = self.stack.wait_for(topics.STEP_TICK, StepTick, lambda m: to_ns(m.stamp) == self.t_ns)
        self.answer(tick, values, **changes)
        return tick

    def answer(self, tick: StepTick, values: list[float], **changes: Any) -> None:
        self.seq += 1
        fields = {"episode_id": tick.episode_id, "step": tick.step, "source": "policy", "seq": self.seq}
        fields |= {
            "lease": self.lease,
            "spec_digest": DIGEST,
            "values": values,
            "observation_stamp": to_stamp(self.t_ns),
        }
        self.proposals.publish(Proposal(**{**fields, **changes}))


@pytest.fixture
def lockstep(stack: Stack) -> LittleArm:
    arm = LittleArm(stack, "lockstep")
    arm.barrier()
    return arm


@pytest.fixture
def real(stack: Stack) -> Iterator[LittleArm]:
    arm = LittleArm(stack, "real")
    stack.wait_for(topics.SETPOINT, JointTrajectory)
    yield arm


ON_THE_WAY = ("controller not read back", "not steady yet", "supervisor not heard", "not looked at yet")
FORWARD = [0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_nothing_moves_when_the_gate_was_not_armed(lockstep: LittleArm) -> None:
    before = list(lockstep.positions)
    path = lockstep.barrier()
    assert len(path.points) == 20
    assert all(list(p.positions) == pytest.approx(before) for p in path.points)
    assert lockstep.state(lambda s: True).mode == Mode.STOP and not lockstep.ticks


def test_proposal_is_decided_and_carried_out_when_armed(lockstep: LittleArm) -> None:
    assert lockstep.arm().accepted
    lockstep.hold_lease()
    path = lockstep.barrier(lambda: lockstep.propose(FORWARD))
    decision = lockstep.stack.wait_for(topics.DECISION, Decision, qos=EVENT_QOS)
    assert (decision.source, decision.step, list(decision.allowed)) == ("policy", 0, FORWARD)
    assert not decision.limited_by and not decision.refused
    assert path.points[-1].time_from_start.nanosec == PERIOD_NS
    assert list(path.points[-1].positions) != pytest.approx(list(path.points[0].positions), abs=1e-3)
    lockstep.barrier(lambda: lockstep.propose(FORWARD))
    assert [t.step for t in lockstep.ticks] == [0, 1]


def test_barrier_closes_with_a_hold_when_the_proposal_is_not_a_number(lockstep: LittleArm) -> None:
    assert lockstep.arm().accepted
    lockstep.hold_lease()
    path = lockstep.barrier(lambda: lockstep.propose([float("nan"), *FORWARD[1:]]))
    decision = lockstep.stack.wait_for(topics.DECISION, Decision, qos=EVENT_QOS)
    assert "finite" in decision.refused and not decision.source
    assert list(path.points[-1].positions) == pytest.approx(list(path.points[0].positions))
    state = lockstep.state(lambda s: bool(s.refusals))
    assert dict(zip(state.refusals, state.refusal_counts)) == {"policy:unreadable": 1}


def test_next_step_waits_for_the_verdict_when_an_episode_acts(lockstep: LittleArm) -> None:
    episodes = lockstep.stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
    lockstep.stack.until(lambda: episodes.get_subscription_count() > 0, what="gate hears episodes")
    acting = EpisodeState(episode_id="run-00003", phase=EpisodeState.ACTING, judged_step=-1)
    episodes.publish(acting)
    lockstep.barrier()  # a whole idle period: the gate has heard it by then
    assert lockstep.arm().accepted
    lockstep.hold_lease("run-00003")

    def during() -> None:
        lockstep.propose(FORWARD)
        answered = len(lockstep.paths)
        with pytest.raises(AssertionError):
            lockstep.stack.until(lambda: len(lockstep.paths) > answered, timeout_s=0.5)
        acting.judged_step, acting.outcome = 0, "success"
        episodes.publish(acting)

    lockstep.barrier(during)
    assert [t.step for t in lockstep.ticks] == [0]


def test_arm_is_refused_when_the_boot_id_is_another(lockstep: LittleArm) -> None:
    answer = lockstep.stack.call(Arm, topics.ARM, Arm.Request(boot_id=1))
    assert not answer.accepted and "restarted" in answer.reason


def test_setpoints_come_at_once_when_time_is_real(real: LittleArm) -> None:
    assert real.arm().accepted
    real.hold_lease()
    tick = real.stack.wait_for(topics.STEP_TICK, StepTick, lambda t: t.holder == "policy")
    real.answer(tick, FORWARD)
    decision = real.stack.wait_for(topics.DECISION, Decision, lambda d: d.source == "policy", qos=EVENT_QOS)
    assert list(decision.allowed) == FORWARD and decision.step == 0
    held = real.stack.wait_for(topics.DECISION, Decision, lambda d: d.mode == Mode.HOLD and d.step > 0, qos=EVENT_QOS)
    assert list(held.allowed) == pytest.approx([0.0] * 6 + [1.0], abs=1e-9)
    stamps = [to_ns(p.header.stamp) for p in real.paths]
    assert all(b > a for a, b in pairwise(stamps))


def test_stop_latches_until_cleared_and_armed_when_asked_for(real: LittleArm) -> None:
    assert real.arm().accepted
    assert real.stack.call(Trigger, topics.STOP, Trigger.Request()).success
    assert real.state(lambda s: s.mode == Mode.STOP and not s.armed).latches == ["stop requested"]
    assert "stop requested" in real.arm().reason
    assert not real.stack.call(ClearLatch, topics.CLEAR, ClearLatch.Request(name="lockstep barrier")).cleared
    assert real.stack.call(ClearLatch, topics.CLEAR, ClearLatch.Request(name="stop requested")).cleared
    assert real.arm().accepted


def test_gate_holds_when_asked_and_goes_on_when_released(real: LittleArm) -> None:
    assert real.arm().accepted
    assert real.stack.call(SetBool, topics.HOLD, SetBool.Request(data=True)).success
    assert "hold requested" in real.state(lambda s: s.mode == Mode.HOLD).reasons
    assert real.stack.call(SetBool, topics.HOLD, SetBool.Request(data=False)).success
    real.state(lambda s: "hold requested" not in s.reasons)


def test_gate_holds_when_two_publish_on_one_topic(real: LittleArm) -> None:
    assert real.arm().accepted
    second = real.stack.node.create_publisher(Proposal, topics.proposal("policy"), COMMAND_QOS)
    real.state(lambda s: "two publishers on one topic" in s.reasons)
    real.stack.node.destroy_publisher(second)
    real.state(lambda s: "two publishers on one topic" not in s.reasons)


def test_diagnostics_say_why_when_the_gate_is_stopped(real: LittleArm) -> None:
    said = real.stack.wait_for(
        topics.DIAGNOSTICS, DiagnosticArray, lambda a: "STOP: not armed" in a.status[0].message, qos=EVENT_QOS
    )
    assert said.status[0].level == b"\x01"


@pytest.mark.fault("F50")
def test_arm_stops_when_the_line_of_the_estop_falls_silent(stack: Stack, case: Case) -> None:
    case.by("a line that is read ten times a second, then cut")
    arm = LittleArm(stack, "real", estop_line=True)
    line = stack.publisher(topics.ESTOP, Bool, LATCHED_QOS)
    arm.state(lambda s: "e-stop pressed" in s.latches)  # nothing has been heard of it
    reader = stack.node.create_timer(0.1, lambda: line.publish(Bool(data=False)))
    clear = ClearLatch.Request(name="e-stop pressed")
    stack.until(lambda: stack.call(ClearLatch, topics.CLEAR, clear).cleared, what="the line is heard")
    assert arm.arm().accepted
    since_ns = time.monotonic_ns()
    reader.cancel()
    arm.state(lambda s: "e-stop pressed" in s.latches and not s.armed)
    silence_ms = 1e3 * arm.params.safety.estop_silence_s
    case.within("STOP after the line was cut", time.monotonic_ns() - since_ns, silence_ms + 10.0)
    case.nothing("armed without a line", arm.arm().accepted)
