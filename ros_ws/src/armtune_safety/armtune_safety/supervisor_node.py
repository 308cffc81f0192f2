"""The supervisor's plumbing: lifecycle in table order, heartbeats, STOP when a node is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from armtune_interfaces.msg import Heartbeat
from armtune_policies.contract import SteadyClock, topics

from .health import Finding, Health, Level
from .managed_node import LATCHED_QOS, ManagedNode, run, to_ns
from .settings import SupervisorParams
from .watch import ACTIVE, AFTER, GIVEN_UP, LOST, Ask, Watch

_LOOK_S, _HEALTH_S = 0.05, 1.0
_STOP_AGAIN_NS = 500_000_000
_GET_STATE, _CHANGE_STATE = "{}/get_state", "{}/change_state"
_TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
}
_LEVELS = {ACTIVE: DiagnosticStatus.OK, LOST: DiagnosticStatus.ERROR, GIVEN_UP: DiagnosticStatus.ERROR}


class SupervisorNode(ManagedNode):
    """Brings the graph up, watches it, and stops the arm when part of it is lost.

    Nobody manages the supervisor: it configures and activates itself.
    """

    Params = SupervisorParams

    def set_up(self) -> None:
        p: SupervisorParams = self.params
        self._clock_steady, self._was = SteadyClock(), ""
        self._watch = Watch(p.nodes, p.spare, p.safety, p.start_s, p.lost_s, dict(zip(p.workers, p.works_s)))
        self._asked: tuple[Ask, Any, Future] | None = None
        self._state_clients, self._change_clients = dict[str, Any](), dict[str, Any]()
        for name in p.nodes:
            self._meet(name)
        self._unstopped, self._stop_again_ns = "", 0
        self._stop_client = self.create_client(Trigger, topics.STOP)
        self._summary_pub = self.create_publisher(DiagnosticArray, topics.SUPERVISOR, LATCHED_QOS)
        self._health, self._found = Health(p), tuple[Finding, ...]()
        self._health_pub = self.create_publisher(DiagnosticArray, topics.HEALTH, LATCHED_QOS)
        self.create_subscription(Heartbeat, topics.HEARTBEAT, self._on_beat, QoSProfile(depth=200))

    def start(self) -> None:
        self.create_timer(_LOOK_S, self._look)
        self.create_timer(_HEALTH_S, self._check)
        self._check()

    def _on_beat(self, m: Heartbeat) -> None:
        now_ns = self._clock_steady.now_ns()
        self._health.heard(m.node, to_ns(m.stamp), self.get_clock().now().nanoseconds, now_ns)
        self._watch.heard(m.node, m.boot_id, m.evidence_seq, m.evidence_age_s, now_ns)

    def _look(self) -> None:
        now_ns = self._clock_steady.now_ns()
        self._watch.look(now_ns)
        self._give_up_waiting(now_ns)
        if ask := self._watch.due(now_ns):
            self._call(ask)
        while self._watch.faults:
            self._unstopped, self._stop_again_ns = self._watch.faults.pop(0), 0
            self.get_logger().error(f"{self._unstopped}; stopping the arm")
            self.report(f"stopped the arm: {self._unstopped}", level=DiagnosticStatus.ERROR)
        self._stop_arm(now_ns)
        self._publish()
        self.did_work()

    # -- lifecycle calls -------------------------------------------------------------------

    def _call(self, ask: Ask) -> None:
        client = (self._state_clients if ask.what == "state" else self._change_clients)[ask.node]
        if not client.service_is_ready():
            self._watch.answered(ask, "", self._clock_steady.now_ns())
            return
        request: Any = GetState.Request()
        if ask.what != "state":
            request = ChangeState.Request(transition=Transition(id=_TRANSITIONS[ask.what]))
        future = client.call_async(request)
        self._asked = (ask, client, future)
        future.add_done_callback(partial(self._on_answer, ask))

    def _meet(self, name: str) -> None:
        """Make the clients of a node; anew after a call that failed, as the old may be matched with a dead process."""
        for clients, kind, service in (
            (self._state_clients, GetState, _GET_STATE),
            (self._change_clients, ChangeState, _CHANGE_STATE),
        ):
            if name in clients:
                self.destroy_client(clients[name])
            clients[name] = self.create_client(kind, service.format(name))

    def _give_up_waiting(self, now_ns: int) -> None:
        """A call ends at its bound, or when the process that would answer is gone."""
        if self._asked is None:
            return
        ask, client, future = self._asked
        if now_ns >= ask.until_ns or not client.service_is_ready():
            self._asked = None
            client.remove_pending_request(future)
            self._meet(ask.node)
            self._watch.answered(ask, "", now_ns)

    def _on_answer(self, ask: Ask, future: Future) -> None:
        if self._asked is None or self._asked[0] is not ask or future.cancelled():
            return
        self._asked = None
        answer = future.result()
        state = answer.current_state.label if ask.what == "state" else AFTER[ask.what] if answer.success else ""
        if ask.what != "state":
            self.get_logger().info(f"{ask.node}: {state or ask.what + ' failed'}")
        self._watch.answered(ask, state, self._clock_steady.now_ns())

    # -- what it says and does ---------------------------------------------------------------

    def _stop_arm(self, now_ns: int) -> None:
        """Ask the gate to stop until it says that it has; a gate that is gone has stopped."""
        if not self._stop_client.service_is_ready():
            self._unstopped = ""
        why = self._unstopped or self._watch.missing()  # while a node is missing, whoever clears and arms
        if why and now_ns >= self._stop_again_ns:
            self._stop_again_ns = now_ns + _STOP_AGAIN_NS
            if self._stop_client.service_is_ready():
                self._stop_client.call_async(Trigger.Request()).add_done_callback(partial(self._stopped, why))

    def _stopped(self, why: str, _: Future) -> None:
        if why == self._unstopped:
            self._unstopped = ""

    def _check(self) -> None:
        """Say how the machine and the nodes' clocks are; log what was not so bad before."""
        was = {f.name: f.level for f in self._found if f.level is not Level.UNKNOWN}
        self._found = self._health.look()
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        for f in self._found:
            array.status.append(DiagnosticStatus(name=f.name, level=bytes([f.level]), message=f.text))
            if Level.UNKNOWN > f.level > was.get(f.name, Level.OK):
                self.get_logger().warning(f"{f.name}: {f.text}")
        self._health_pub.publish(array)

    def _publish(self) -> None:
        """The summary, when it changed: one status a node, in table order."""
        now = " ".join(f"{name}:{node.phase}:{node.reason}" for name, node in self._watch.nodes.items())
        if now == self._was:
            return
        self._was = now
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        for name, node in self._watch.nodes.items():
            status = DiagnosticStatus(name=name, level=_LEVELS.get(node.phase, DiagnosticStatus.WARN))
            status.message = f"{node.phase}: {node.reason}" if node.reason else node.phase
            facts: dict[str, Any] = {"restarts": len(node.restarts_ns), "evidence_seq": node.evidence_seq}
            facts["evidence_age_s"] = f"{node.evidence_age_s:.2f}"
            status.values = [KeyValue(key=key, value=str(value)) for key, value in facts.items()]
            array.status.append(status)
        self._summary_pub.publish(array)
        if self._watch.all_active():
            self.report("every node works")


def _make() -> SupervisorNode:
    node = SupervisorNode("supervisor_node")
    node.trigger_configure()
    node.trigger_activate()
    return node


def main() -> None:
    run(_make)


if __name__ == "__main__":
    main()
