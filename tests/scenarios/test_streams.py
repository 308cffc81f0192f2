"""The gate's adversarial streams again, through real processes: the arm's own log is judged by the same oracle."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

sys.path.insert(0, str(Path(__file__).parents[1] / "safety"))

from gate_rig import BOOT, gate_params
from streams import MOTION, SOURCES, THEMES, Story, tools

from armtune_interfaces import msg, srv
from armtune_policies.contract import ActionSpec, Kind, ManualClock, Mode, Proposal, StepTick, TaskPair, topics
from armtune_safety.failsafe import RULES
from armtune_safety.kinematics import Kinematics
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, LATCHED_QOS, to_ns
from armtune_safety.wire import message_of, value_of
from armtune_sim.motion_log import MotionLog, read
from armtune_sim.oracle import UNEVEN, Event, Oracle
from armtune_sim.settings import SimNodeParams, SimParams
from harness import Stack

TASK = TaskPair(name="bin_sort", forward="put the peg in the bin", backward="take the peg out of the bin")
BEAT_S, LINE_S, ANSWER_S, TICK_WAIT_S, SETTLE_S = 0.25, 0.05, 5.0, 1.0, 1.0
UNANSWERED_S = 0.05
"""After that the step of a lockstep barrier gets a plain answer; the gate would wait until its own bound."""
BLOCKING = {rule.name for rule in RULES if rule.mode >= Mode.HOLD and not rule.judged}
"""Under one of these lockstep opens no step, and a barrier closes by itself after a period of the wall's time."""
JITTER_S = 0.02
"""A setpoint waits up to one tick at the gate and up to one at the controller."""


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether something comes true in time; unlike ``Stack.until``, both are fine."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.001)
    return True


class WireGate:
    """The gate's own interface, spoken over DDS to the process: what a ``Story`` is told to play against."""

    def __init__(self, stack: Stack, pace: str) -> None:
        self.stack, self.pace, self.spec = stack, pace, ActionSpec()
        self.armed, self.asked_ns, self.met = False, 0, 0
        publish = partial(stack.publisher, kind=msg.Proposal, qos=COMMAND_QOS)
        self.sources = {source: publish(topics.proposal(source)) for source in SOURCES}
        self.estop_pub, self.pressed = stack.publisher(topics.ESTOP, Bool, LATCHED_QOS), Bool()
        self.ticks = stack.listen(topics.STEP_TICK, msg.StepTick, EVENT_QOS)
        self.states = stack.listen(topics.GATE_STATE, msg.GateState, LATCHED_QOS)
        self.decisions = stack.listen(topics.DECISION, msg.Decision, EVENT_QOS)
        self.paths = stack.listen(topics.SETPOINT, JointTrajectory, EVENT_QOS)
        self.joints = stack.listen(topics.JOINT_STATES, JointState, COMMAND_QOS)
        stack.publisher(topics.HEALTH, DiagnosticArray, LATCHED_QOS).publish(DiagnosticArray())
        self.clients: dict[str, Any] = {}
        beats = stack.publisher(topics.HEARTBEAT, msg.Heartbeat, EVENT_QOS)
        stack.node.create_timer(BEAT_S, lambda: beats.publish(msg.Heartbeat(node="supervisor_node")))
        stack.node.create_timer(LINE_S, lambda: self.estop_pub.publish(self.pressed))
        stack.until(lambda: bool(self.states and self.joints), what="the gate's state and the arm's joints")

    def call(self, kind: type, service: str, /, **fields: Any) -> Any:
        if service not in self.clients:
            self.clients[service] = self.stack.node.create_client(kind, service)
        client = self.clients[service]
        assert client.wait_for_service(timeout_sec=ANSWER_S), f"{service}: no such service"
        future, done = client.call_async(kind.Request(**fields)), threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(ANSWER_S), f"{service}: no answer"
        return future.result()

    @property
    def now_ns(self) -> int:
        """The log's time: the newest barrier's in lockstep, the steady clock's in real time.

        A barrier's joints and its tick come from two processes: either may be heard first.
        """
        if self.pace == "real":
            return time.monotonic_ns()
        return max([to_ns(self.joints[-1].header.stamp), *(to_ns(tick.stamp) for tick in self.ticks[-1:])])

    # -- what a story calls --------------------------------------------------------------

    @property
    def open_tick(self) -> StepTick | None:
        return value_of(StepTick, self.ticks[-1]) if self.ticks else None

    def judge(self, proposal: Proposal) -> bool:
        """Send it on its source's topic, in which no number is negative; nobody answers before the period ends."""
        publisher = self.sources.get(proposal.source, self.sources["policy"])
        lowest = {name: max(getattr(proposal, name), 0) for name in ("step", "seq", "lease", "observation_stamp_ns")}
        sent = replace(proposal, **lowest)
        publisher.publish(message_of(msg.Proposal, sent, values=list(sent.values)))
        return False

    def acquire(self, source: str, episode_id: str, duration_s: float) -> tuple[int, str]:
        return self._lease(op=srv.Lease.Request.ACQUIRE, source=source, episode_id=episode_id, duration_s=duration_s)

    def renew(self, lease: int, duration_s: float) -> tuple[int, str]:
        return self._lease(op=srv.Lease.Request.RENEW, lease=lease, duration_s=duration_s)

    def release(self, lease: int) -> tuple[int, str]:
        return self._lease(op=srv.Lease.Request.RELEASE, lease=lease)

    def _lease(self, **fields: Any) -> tuple[int, str]:
        answer = self.call(srv.Lease, topics.LEASE, **fields)
        return (answer.lease if answer.granted else 0), answer.reason

    def stop(self, _reason: str) -> None:
        self.call(Trigger, topics.STOP)
        self.settle(lambda s: not s.armed)

    def estop(self, pressed: bool) -> None:
        self.pressed = Bool(data=pressed)
        self.estop_pub.publish(self.pressed)
        if pressed:
            self.settle(lambda s: not s.armed)

    def hold(self, on: bool) -> None:
        self.call(SetBool, topics.HOLD, data=on)

    def doubled(self, _topics: int) -> None:
        """Not over the wire: the gate counts publishers itself."""

    def clear(self, latch: str) -> str:
        return str(self.call(srv.ClearLatch, topics.CLEAR, name=latch).reason)

    def arm(self, boot_id: int) -> str:
        """The rig's boot id stands for the process's, any other for a wrong one."""
        actual, self.asked_ns = self.state().boot_id, self.now_ns
        answer = self.call(srv.Arm, topics.ARM, boot_id=actual + boot_id - BOOT)
        if answer.accepted:
            self.armed = True
            self.settle(lambda s: s.armed)
        return "" if answer.accepted else str(answer.reason)

    def state(self) -> Any:
        newest = self.states[-1]
        self.armed = self.armed and newest.armed
        return newest

    def settle(self, fits: Callable[[Any], bool]) -> None:
        """Wait until the newest state fits, or not: it may have changed again since."""
        eventually(lambda: fits(self.states[-1]), SETTLE_S)
        self.state()

    def more(self, heard: list[Any], than: int, within_s: float) -> bool:
        """True once more messages than that were heard."""
        return eventually(lambda: len(heard) > than, within_s)

    def on_joints(self, *_: object) -> bool:
        """Not over the wire: the joints are the simulator's."""
        return True


class WireWitness:
    """What a ``Story`` needs beside the gate; times are the log's."""

    def __init__(self, gate: WireGate) -> None:
        self.gate, self.params, self.events = gate, gate_params(gate.pace), list[Event]()
        robot = self.params.robot
        self.names, self.q, self.mute = (*robot.joints, robot.finger_joint), np.array([*robot.home_rad, 1.0]), False
        self.clock, self.seq, self.own, self.kinematics = ManualClock(), 0, set[int](), tools()[0]
        self.look()

    def look(self) -> None:
        state = self.gate.joints[-1]
        self.clock.set_ns(to_ns(state.header.stamp))
        by_name = dict(zip(state.name, state.position))
        self.q = np.array([*(by_name[n] for n in self.names[:-1]), self.params.robot.opening(by_name[self.names[-1]])])

    def note(self, kind: str) -> None:
        """Armed from when it was asked for; stopped from when all surely heard it. In between may be either."""
        late_ns = round(self.gate.spec.period_s * 1e9) if self.gate.pace == "lockstep" else 0  # the open barrier's end
        t_ns = self.gate.asked_ns if kind == "armed" else self.gate.now_ns + late_ns
        self.events.append(Event(max([t_ns, *(event.t_ns for event in self.events[-1:])]), kind))

    def proposal(self, values: Any, at_step: int, **changes: Any) -> Proposal:
        self.seq += 1
        self.look()
        fields = {"step": at_step, "seq": self.seq, "observation_stamp_ns": self.clock.t_ns, "policy_version": "v1"}
        fields |= {"spec_digest": self.gate.spec.digest, "values": tuple(float(v) for v in values)}
        return Proposal(**{**fields, **changes})


class WireStory(Story):
    """A story without a fake clock."""

    witness: Any

    def advance(self, dt_s: float) -> None:
        """Real time goes on by itself."""

    def start(self) -> None:
        """Armed, with a lease: whatever the stream before has left."""
        gate = self.witness.gate
        gate.estop(False)
        gate.hold(False)

        def armed() -> bool:
            for latch in gate.state().latches:
                gate.clear(latch)
            return bool(gate.armed) or gate.arm(BOOT) == ""

        was = gate.state().armed and gate.armed
        gate.stack.until(armed, what="the gate armed")
        if not was:
            self.witness.note("armed")
        gate.release(int(gate.state().lease))
        number, _ = gate.acquire(self.source, self.episode, 5.0)
        self.leases.append(number)

    def step(self) -> None:
        """Wait for a tick not met yet, answer it well or badly, do something else to the gate."""
        gate = self.witness.gate
        comes = gate.pace == "real" or not BLOCKING.intersection(gate.states[-1].reasons)
        gate.more(gate.ticks, gate.met, TICK_WAIT_S if comes else gate.spec.period_s)
        gate.met = len(gate.ticks)
        decided = len(gate.decisions)
        self.propose()
        self.disturb()
        self.look()
        if gate.pace == "lockstep":
            self.finish(decided)

    def finish(self, decided: int) -> None:
        """Lockstep waits for an answer to the open step: give a plain one if what came was none."""
        gate, tick = self.witness.gate, self.witness.gate.open_tick
        if gate.more(gate.decisions, decided, UNANSWERED_S) or tick is None:
            return
        still = (0.0,) * 6 + (0.5,)
        more = {"kind": Kind.TOOL_DELTA, "source": tick.holder, "lease": tick.lease, "episode_id": tick.episode_id}
        gate.judge(self.witness.proposal(still, tick.step, **more))


def play(stack: Stack, pace: str, streams: int, longest: int = 5) -> tuple[Path, WireWitness]:
    """Bring simulator and gate up and play the streams, one after the other."""
    log = stack.folder / "arm.csv"
    params = gate_params(pace)
    small = {"camera_width_px": 32, "camera_height_px": 24, "camera_rate_hz": 1.0}
    told = {"robot": params.robot, "task": TASK, "sim": SimParams(), "mjcf": params.mjcf, "time": pace}
    stack.bring_up("armtune_safety.gate_node", "gate_node", params)
    stack.bring_up("armtune_sim.sim_node", "sim_node", SimNodeParams(**told, **small, arm_log=str(log)))
    witness = WireWitness(WireGate(stack, pace))
    for seed in range(streams):
        rng = np.random.default_rng(seed)
        story = WireStory(seed, witness, rng, THEMES[seed % len(THEMES)])
        story.start()
        for _ in range(int(rng.integers(2, longest + 1))):
            story.step()
    witness.gate.stop("the end")
    witness.note("stop")
    ended = witness.gate.now_ns
    stack.until(lambda: read(log, "steady" if pace == "real" else "sim").t_ns[-1] > ended + 500_000_000, what="rest")
    return log, witness


def judge(log: MotionLog, witness: WireWitness, **how: float) -> None:
    params = witness.params
    kinematics = Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad)
    oracle = Oracle(params.robot, params.safety, kinematics, unevenness=UNEVEN, **how)
    found = oracle.judge(log, witness.events) + oracle.sound(log)
    assert not found, "\n".join(f"{v.rule} at {v.t_ns}: {v.text}" for v in found)
    assert oracle.rest_after(log, witness.events[-1].t_ns) < 1.0
    assert np.max(np.ptp(log.setpoint, axis=0)) > 0.3, "the streams moved nothing"


@pytest.mark.slow
@pytest.mark.unhurried
@pytest.mark.timeout(400)
def test_no_bound_is_exceeded_when_a_hundred_streams_come_in_lockstep(stack: Stack) -> None:
    log, witness = play(stack, "lockstep", streams=100)
    rows = read(log, "sim")
    assert set(rows.source) <= {"setpoint", "hold"} and np.mean(rows.source == "setpoint") > 0.9
    judge(rows, witness)
    accepted = [(d.source, d.seq) for d in witness.gate.decisions if d.source]
    assert {source for source, _ in accepted} == set(SOURCES)
    assert sum(seq in witness.own for source, seq in accepted if source == MOTION) > 10, "nudges were not alive"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_bound_is_exceeded_when_ten_streams_come_in_real_time(stack: Stack) -> None:
    log, witness = play(stack, "real", streams=10)
    rows = read(log)
    judge(rows, witness, jitter_s=JITTER_S)
    judge(stamped(witness, rows), witness)


def stamped(witness: WireWitness, rows: MotionLog) -> MotionLog:
    """The setpoints as they were sent, with the gate's own exact times; where the arm was, from its log."""
    robot, paths = witness.params.robot, list(witness.gate.paths)  # it grows meanwhile
    t_ns = np.array([to_ns(path.header.stamp) for path in paths], np.int64)
    finger = [robot.opening(path.points[0].positions[-1]) for path in paths]
    setpoints = np.array([[*path.points[0].positions[:-1], f] for path, f in zip(paths, finger)])
    at = np.clip(np.searchsorted(rows.t_ns, t_ns), 0, len(rows.t_ns) - 1)
    return MotionLog.of(t_ns, setpoints, rows.measured[at])
