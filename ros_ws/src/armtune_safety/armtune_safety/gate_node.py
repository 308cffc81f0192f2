"""The gate's plumbing: messages in, messages out, two clocks handed in. No learning in here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces import msg, srv
from armtune_policies.contract import PRIORITY, Decision, Kind, Mode, Proposal, SteadyClock, StepTick, topics

from .controller import Controller
from .gate import GateStatus
from .managed_node import CAMERA_QOS, COMMAND_QOS, EVENT_QOS, LATCHED_QOS, ManagedNode, run, to_ns, to_stamp
from .pace import LockstepPace, build
from .punctual import be_punctual
from .settings import GateParams
from .wire import failing, message_of, unwell, value_of

SUPERVISOR = "supervisor_node"
_LOOK_S, _BRAKING_TICKS = 0.1, 50


class GateNode(ManagedNode):
    """Owns the gate of one arm; the outlet of its pace."""

    Params = GateParams

    def set_up(self) -> None:
        p: GateParams = self.params
        self._gate, self._pace = build(p, secrets.randbits(32) | 1, SteadyClock(), self)
        self._joint_names = [*p.robot.joints, p.robot.finger_joint]
        self._said: GateStatus | None = None
        self._is_active, self._read_back = False, "nothing"
        self._wire()
        self._serve_all()
        tick = partial(self._do, self._pace.on_timer)
        self._tick_timer = self.create_timer(self._pace.timer_s, tick, autostart=False)
        self._look_timer = self.create_timer(_LOOK_S, self._look)
        self.report(nice=be_punctual())

    def _wire(self) -> None:
        self._tick_pub = self.create_publisher(msg.StepTick, topics.STEP_TICK, COMMAND_QOS)
        self._decision_pub = self.create_publisher(msg.Decision, topics.DECISION, EVENT_QOS)
        self._setpoint_pub = self.create_publisher(JointTrajectory, topics.SETPOINT, COMMAND_QOS)
        self._state_pub = self.create_publisher(msg.GateState, topics.GATE_STATE, LATCHED_QOS)
        self._one_publisher = [topics.JOINT_STATES, topics.SETPOINT, *map(topics.proposal, PRIORITY)]
        sensor_qos = COMMAND_QOS if self.params.time == "lockstep" else CAMERA_QOS
        for source in PRIORITY:
            judge = partial(self._on_proposal, source)
            self.create_subscription(msg.Proposal, topics.proposal(source), judge, COMMAND_QOS)
        for wire in (
            (JointState, topics.JOINT_STATES, self._on_joints, sensor_qos),
            (msg.EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS),
            (Bool, topics.ESTOP, lambda m: self._do(lambda: self._gate.estop(m.data)), LATCHED_QOS),
            (msg.ControllerState, topics.CONTROLLER_STATE, self._on_controller, LATCHED_QOS),
            (DiagnosticArray, topics.CAMERA_CHECK, lambda m: self._gate.on_cameras(unwell(m)), LATCHED_QOS),
            (DiagnosticArray, topics.HEALTH, lambda m: self._gate.on_health(failing(m)), LATCHED_QOS),
            (msg.Heartbeat, topics.HEARTBEAT, self._on_beat, EVENT_QOS),
        ):
            self.create_subscription(*wire)

    def _serve_all(self) -> None:
        gate = self._gate
        asked: tuple[tuple[Any, str, Callable[[Any], str | None]], ...] = (
            (srv.Arm, topics.ARM, lambda r: gate.arm(r.boot_id) if self._is_active else "the gate is not active"),
            (Trigger, topics.STOP, lambda r: gate.stop("asked for by service")),
            (SetBool, topics.HOLD, lambda r: gate.hold(r.data)),
            (srv.ClearLatch, topics.CLEAR, lambda r: gate.clear(r.name)),
        )
        for kind, name, work in asked:
            self.create_service(kind, name, partial(self._serve, work))
        self.create_service(srv.Lease, topics.LEASE, self._on_lease)

    def start(self) -> None:
        self._is_active = True
        self._tick_timer.reset()
        self._look()

    def stop(self) -> None:
        """STOP; on the steady clock the arm is braked before the setpoints end."""
        if not getattr(self, "_is_active", False):
            return
        self._gate.stop("the gate was deactivated")
        self._tick_timer.cancel()
        for _ in range(_BRAKING_TICKS):
            if isinstance(self._pace, LockstepPace) or not self._gate.moving:
                break
            self._pace.on_timer()
            time.sleep(1.0 / self.params.safety.gate_tick_hz)
        self._publish_state()
        self._is_active = False

    def _do(self, work: Callable[[], Any]) -> Any:
        """Do one thing to the gate, then tell everyone if that changed how it stands."""
        result = work()
        self._publish_state()
        return result

    def _on_joints(self, m: JointState) -> None:
        if not self._is_active:
            return
        taken = self._do(lambda: self._pace.on_joints(m.name, m.position, to_ns(m.header.stamp)))
        if not taken and self._gate.joint_refusal:
            self.get_logger().warning(f"refused: {self._gate.joint_refusal}", throttle_duration_sec=1.0)

    def _on_proposal(self, source: str, m: msg.Proposal) -> None:
        if not self._is_active or m.source != source or m.kind not in iter(Kind):
            self._gate.malformed(source)
            return
        self._do(partial(self._pace.on_proposal, value_of(Proposal, m)))

    def _on_episode(self, m: msg.EpisodeState) -> None:
        if isinstance(self._pace, LockstepPace) and self._is_active:
            self._pace.on_episode(m.episode_id, m.phase == m.ACTING, bool(m.outcome), m.judged_step)

    def _serve(self, work: Callable[[Any], str | None], request: Any, answer: Any) -> Any:
        why = self._do(lambda: work(request)) or ""  # every such answer is a yes or no and a reason, in that order
        for field, value in zip(answer.get_fields_and_field_types(), (not why, why)):
            setattr(answer, field, value)
        return answer

    def _on_controller(self, m: msg.ControllerState) -> None:
        self._read_back = self._do(lambda: self._gate.on_controller(value_of(Controller, m))) or m.name

    def _on_beat(self, m: msg.Heartbeat) -> None:
        if m.node == SUPERVISOR:
            self._gate.on_supervisor(m.evidence_age_s)

    def _on_lease(self, request: srv.Lease.Request, answer: srv.Lease.Response) -> srv.Lease.Response:
        r, gate = request, self._gate
        asked = {
            r.ACQUIRE: lambda: gate.acquire(r.source, r.episode_id, r.duration_s),
            r.RENEW: lambda: gate.renew(r.lease, r.duration_s),
            r.RELEASE: lambda: self._pace.release(r.lease),
        }.get(r.op, lambda: (0, f"unknown operation {r.op}"))
        number, answer.reason = self._do(asked) if self._is_active else (0, "the gate is not active")
        answer.granted, answer.lease = number != 0, number
        return answer

    # -- out -----------------------------------------------------------------------------

    def tick(self, tick: StepTick) -> None:
        self._tick_pub.publish(message_of(msg.StepTick, tick))

    def decision(self, decision: Decision) -> None:
        self._decision_pub.publish(message_of(msg.Decision, decision))

    def setpoints(self, points: Sequence[NDArray[Any]], dt_s: float, stamp_ns: int) -> None:
        path = JointTrajectory(joint_names=self._joint_names)
        path.header.stamp = to_stamp(stamp_ns)
        for i, point in enumerate(points, start=1):
            positions = [*point[:-1].tolist(), self.params.robot.finger_m(float(point[-1]))]
            after = Duration(sec=int(i * dt_s), nanosec=round(i * dt_s % 1.0 * 1e9))
            path.points.append(JointTrajectoryPoint(positions=positions, time_from_start=after))
        self._setpoint_pub.publish(path)
        self.did_work()

    def _look(self) -> None:
        """Count publishers, report, and tell of new refusals; ten times a second."""
        doubled = [topic for topic in self._one_publisher if self.count_publishers(topic) > 1]
        self._gate.doubled(len(doubled))
        said = self._publish_state(even_counts=True)
        facts = {"armed": said.armed, "holder": said.holder, "latches": ", ".join(said.latches)}
        facts |= {"stop_reason": said.stop_reason, "doubled": ", ".join(doubled), "controller": self._read_back}
        level = DiagnosticStatus.OK if said.mode is Mode.RUN else DiagnosticStatus.WARN
        self.report(f"{said.mode.name}: {', '.join(said.reasons) or 'ok'}", level=level, **facts, **said.refusals)

    def _publish_state(self, even_counts: bool = False) -> GateStatus:
        """Publish how the gate stands if that changed; counts alone wait for ``even_counts``."""
        said, before = self._gate.state(), self._said
        if before == said or (before and not even_counts and replace(before, refusals=said.refusals) == said):
            return said
        self._said = said
        if before is None or before.mode != said.mode:
            mend = "; mend it, `armtune clear` each latch by its name, then `armtune arm`" if said.latches else ""
            why = f"{', '.join(said.reasons) or 'ok'} {said.stop_reason}".strip()
            self.get_logger().info(f"{said.mode.name}: {why}{mend}")
        counts = {"refusals": list(said.refusals), "refusal_counts": list(said.refusals.values())}
        self._state_pub.publish(message_of(msg.GateState, said, stamp=self.get_clock().now().to_msg(), **counts))
        return said


def main() -> None:
    run(lambda: GateNode("gate_node"))


if __name__ == "__main__":
    main()
