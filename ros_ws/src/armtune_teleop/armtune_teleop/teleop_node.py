"""An operator as a node: asks for the arm, answers the step clock, passes on what the operator says of the episode."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.task import Future
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger

from armtune_interfaces.msg import Decision, EpisodeState, GateState, Proposal, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import ActionSpec, ConfigError, Kind, Mode, SteadyClock, topics
from armtune_policies.store.nouns import LIVE
from armtune_runtime.lease import HAND, LeaseKeeper
from armtune_runtime.lease_desk import LeaseDesk
from armtune_safety import managed_node as ros
from armtune_safety.managed_node import ManagedNode, run

from .cockpit import Cockpit
from .feedback import news, stands
from .settings import TeleopNodeParams

SOURCE = "teleop"
POLL_S, SAY_S = 0.01, 0.1


class TeleopNode(ManagedNode):
    """Plumbing around ``Cockpit`` and ``LeaseKeeper``."""

    Params = TeleopNodeParams
    params: TeleopNodeParams
    _made, _is_active = ExitStack(), False
    _link: Any = None

    def set_up(self) -> None:
        p, self._steady, self._made = self.params, SteadyClock(), ExitStack()
        self._digest, self._keeper = ActionSpec(rate_hz=p.rate_hz).digest, LeaseKeeper()
        self._opening, self._seq = p.robot.home_gripper, 0
        self._episode, self._gate = EpisodeState(), GateState(mode=int(Mode.STOP))
        self._said = self._lost = ""
        self._cockpit = Cockpit(p, self._steady, lambda: self._opening)
        self._made.callback(self._cockpit.close)
        if p.teleop.kind == "web":
            self._serve_page()
        self._connect()

    def _connect(self) -> None:
        teleop, cockpit = self.params.teleop, self._cockpit
        self._proposal_pub = self.create_publisher(Proposal, topics.proposal(SOURCE), ros.COMMAND_QOS)
        self._state_pub = self.create_publisher(DiagnosticArray, topics.TELEOP_STATE, ros.LATCHED_QOS)
        self._desk = LeaseDesk(self, Lease, SOURCE, teleop.lease_s, self._steady, self._keeper, self._on_lease)
        self._keys = {key: self.create_client(Trigger, topics.operator(key)) for key in topics.KEYS}
        wires: list[Any] = [
            (StepTick, topics.STEP_TICK, self._on_tick, ros.COMMAND_QOS),
            (Decision, topics.DECISION, self._on_decision, ros.EVENT_QOS),
            (EpisodeState, topics.EPISODE_STATE, self._on_episode, ros.LATCHED_QOS),
            (GateState, topics.GATE_STATE, self._on_gate, ros.LATCHED_QOS),
        ]
        if teleop.kind in ("joy", "keyboard", "leader", "pose"):
            wires.append((Joy, topics.JOY, lambda m: cockpit.on_joy(m.axes, m.buttons), ros.EVENT_QOS))
        if teleop.kind == "pose":
            wires.append((PoseStamped, topics.POSE, self._on_pose, ros.EVENT_QOS))
        if teleop.kind == "leader":
            at = lambda m: cockpit.on_leader(dict(zip(m.name, m.position)))  # noqa: E731
            wires.append((JointState, topics.LEADER, at, ros.EVENT_QOS))
        self._device_topics = [wire[1] for wire in wires if wire[0] in (Joy, PoseStamped, JointState)]
        for wire in wires:
            self._made.callback(self.destroy_subscription, self.create_subscription(*wire))
        for timer in (self.create_timer(POLL_S, self._poll), self.create_timer(SAY_S, self._say)):
            self._made.callback(self.destroy_timer, timer)

    def _serve_page(self) -> None:
        from .web import Link, Server, page

        teleop = self.params.teleop
        self._link = Link(self._cockpit.inbox)
        try:
            server = Server(page(self._link, (teleop.host, *teleop.hosts)), teleop.host, teleop.port)
        except OSError as why:
            raise ConfigError(f"teleop.port: {why.strerror}; 0 takes any") from None
        self._made.callback(server.close)
        address = f"http://{teleop.host}:{server.port}/"
        self.get_logger().info(f"the operator's page is at {address}")
        self.report(page=address)

    def start(self) -> None:
        self._is_active = True

    def stop(self) -> None:
        if self._is_active:
            self._is_active = False
            self._cockpit.lose("teleop_node was stopped")
            self._wish()

    def tear_down(self) -> None:
        self._made.close()

    # -- the operator ----------------------------------------------------------------------

    def _poll(self) -> None:
        # looked at before each reading: a second device's dead-man that is up must not pass for a release
        doubled = next((t for t in self._device_topics if self.count_publishers(t) > 1), "")
        for key in self._cockpit.poll(self._gate.mode == Mode.STOP, doubled):
            self._tell(key)
        self._wish()
        self.did_work()

    def _wish(self) -> None:
        """Want the arm while engaged: for the episode that is on, else by hand outside of any.

        An operator who is lost does not give it back: by that the gate knows, and holds.
        """
        lost, self._lost = self._lost, self._cockpit.pilot.lost
        if self._lost:
            self._keeper.fall_silent()
            if self._lost != lost:
                self._said = self._lost
                self.get_logger().warning(self._lost)
            return
        is_live = self._episode.phase in LIVE and not self._episode.outcome
        wanted = self._episode.episode_id if is_live else HAND
        self._desk.want(wanted if self._is_active and self._cockpit.pilot.engaged else "")

    def _tell(self, key: str) -> None:
        if not self._is_active or not self._keys[key].service_is_ready():
            self._said = f"{key}: nobody counts episodes here"
            return
        self._keys[key].call_async(Trigger.Request()).add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        self._said = future.result().message

    def _on_pose(self, m: PoseStamped) -> None:
        p, q = m.pose.position, m.pose.orientation
        self._cockpit.on_pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))

    # -- the graph -------------------------------------------------------------------------

    def _on_tick(self, tick: StepTick) -> None:
        """Answer a tick of our own lease while engaged; otherwise say nothing at all."""
        is_ours = self._is_active and self._keeper.lease and tick.lease == self._keeper.lease
        if not is_ours or (values := self._cockpit.pilot.propose(tick.lease)) is None:
            return
        self._seq += 1
        told = Proposal(episode_id=tick.episode_id, step=tick.step, source=SOURCE, seq=self._seq, lease=tick.lease)
        told.stamp, told.spec_digest = self.get_clock().now().to_msg(), self._digest
        told.kind, told.values = int(Kind.TOOL_DELTA), values.tolist()
        self._proposal_pub.publish(told)

    def _on_decision(self, m: Decision) -> None:
        if len(m.allowed):
            self._opening = float(m.allowed[-1])

    def _on_episode(self, state: EpisodeState) -> None:
        before, self._episode = self._episode, state
        if before.phase in LIVE and (state.phase not in LIVE or state.outcome):
            self._cockpit.pilot.drop()  # what is held down now was meant for the episode that is over
        self._said = news(before, state) or self._said
        self._wish()

    def _on_gate(self, gate: GateState) -> None:
        self._gate = gate
        self._keeper.seen(gate.lease, self._steady.now_ns())
        if gate.mode == Mode.STOP:
            self._cockpit.pilot.drop()  # at once; as long as it lasts ``poll`` does

    def _on_lease(self, refused: str) -> None:
        if refused and self._cockpit.pilot.engaged:
            self._said = refused

    def _say(self) -> None:
        """Tell every display how things stand."""
        pilot, gate, trouble = self._cockpit.pilot, self._gate, self._cockpit.trouble
        said = stands(pilot.engaged, pilot.speed, trouble, self._said, gate.mode, gate.reasons, self._episode)
        if self._link is not None:
            self._link.say(said)
        level = DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK
        status = DiagnosticStatus(level=level, name=self.params.teleop.kind, message=str(said["said"]))
        status.values = [KeyValue(key=k, value=str(v)) for k, v in {**said, **self._cockpit.shown()}.items()]
        self._state_pub.publish(DiagnosticArray(status=[status]))
        self.report(trouble, level=level, engaged=pilot.engaged, device=self.params.teleop.kind)


def main() -> None:
    run(lambda: TeleopNode("teleop_node"))


if __name__ == "__main__":
    main()
