"""Practice as a node: the only one that begins and ends an episode."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import rclpy.action
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from armtune_interfaces import action, msg, srv
from armtune_policies.contract import SteadyClock, topics
from armtune_policies.episode import events as e
from armtune_policies.episode.machine import HOLDS
from armtune_policies.store import nouns
from armtune_policies.store.aside import Aside
from armtune_safety import managed_node as ros
from armtune_safety.wire import failing, message_of, sentence

from .goal_desk import GoalDesk
from .lease import HOME, LeaseKeeper
from .lease_desk import LeaseDesk
from .motions import SOURCE, Motions
from .practice_settings import EpisodeNodeParams
from .practising import WISHES, KeptCounts, conductor

PULSE_S = 0.02


class EpisodeNode(ros.ManagedNode):
    """Plumbing around ``Conductor``, ``Motions`` and ``LeaseKeeper``."""

    Params = EpisodeNodeParams
    params: EpisodeNodeParams
    _made, _is_active = ExitStack(), False
    _tick: msg.StepTick | None
    _joints: JointState | None

    def set_up(self) -> None:
        p, self._made = self.params, ExitStack()
        self._aside = self._made.enter_context(closing(Aside()))
        self._kept = KeptCounts(Path(p.run_folder), by_files=True, write=self._aside.write)
        self._lockstep, self._conductor = p.time == "lockstep", conductor(p, self._kept.counts)
        self._motions = Motions(p.robot, p.episode, p.rate_hz, p.mjcf)
        self._keeper, self._steady, self._tick, self._joints = LeaseKeeper(), SteadyClock(), None, None
        told = (self._handle, self._announce, lambda: self._conductor.tally)
        self._goals = GoalDesk(rclpy.action, action.Practice, self._steady, *told)
        self._connect()

    def _connect(self) -> None:
        self._state_pub = self.create_publisher(msg.EpisodeState, topics.EPISODE_STATE, ros.LATCHED_QOS)
        self._proposal_pub = self.create_publisher(msg.Proposal, topics.proposal(SOURCE), ros.COMMAND_QOS)
        joints_qos = ros.COMMAND_QOS if self._lockstep else ros.CAMERA_QOS
        asks = (SOURCE, self.params.episode.lease_s, self._steady, self._keeper)
        self._desk = LeaseDesk(self, srv.Lease, *asks, lambda _: self._answer_tick())  # it may have ticked before
        wires: list[Any] = [
            (msg.GateState, topics.GATE_STATE, self._on_gate, ros.LATCHED_QOS),
            (msg.StepTick, topics.STEP_TICK, self._on_tick, ros.EVENT_QOS),
            (msg.RewardAnswer, topics.REWARD_ANSWER, self._on_answer, ros.EVENT_QOS),
            (msg.Observation, topics.OBSERVATION, self._on_observation, ros.EVENT_QOS),
            (msg.Decision, topics.DECISION, self._on_decision, ros.EVENT_QOS),
            (msg.LearnerState, topics.LEARNER_STATE, self._on_learner, ros.LATCHED_QOS),
            (DiagnosticArray, topics.HEALTH, lambda m: self._handle(e.Fit(sentence(failing(m)))), ros.LATCHED_QOS),
            (JointState, topics.JOINT_STATES, self._on_joints, joints_qos),
        ]
        asked: list[Any] = [(topics.operator(key), partial(self._on_key, key)) for key in topics.KEYS]
        for wire in wires:
            self._made.callback(self.destroy_subscription, self.create_subscription(*wire))
        for name, work in [*asked, *((name, partial(self._on_wish, wish)) for name, wish in WISHES.items())]:
            self._made.callback(self.destroy_service, self.create_service(Trigger, name, work))
        for name in topics.ACTIONS:
            self._made.callback(self._goals.serve(self, name).destroy)
        self._made.callback(self.destroy_timer, self.create_timer(PULSE_S, self._pulse))

    def start(self) -> None:
        self._is_active = self._goals.is_open = True
        self._announce()

    def stop(self) -> None:
        """An episode that is being acted ends as aborted, so that its file can be closed whole."""
        if self._is_active:
            self._handle(e.Cancel("episode_node was stopped"))
            self._is_active = self._goals.is_open = False
            self._desk.want("")

    def tear_down(self) -> None:
        self._made.close()

    # -- what arrives ----------------------------------------------------------------

    def _on_wish(self, wish: e.Event, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._handle(wish)
        state, name = self._conductor.state, type(wish).__name__.lower()
        response.message = state.phase if response.success else f"nothing to {name}: practice is {state.phase}"
        return response

    def _on_key(self, key: str, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._is_active and self._carry_out(self._conductor.told(key, self._steady.now_ns()))
        refused = f"{key}: nothing to say that of, practice is {self._conductor.state.phase}"
        response.message = (self._conductor.state.reason or key) if response.success else refused
        return response

    def _on_gate(self, gate: msg.GateState) -> None:
        now_ns = self._steady.now_ns()
        self._keeper.seen(gate.lease, now_ns)
        why = "; ".join(dict.fromkeys([*gate.latches, *gate.reasons])) or ("stopped" if gate.armed else "not armed")
        self._carry_out(self._conductor.gate(gate.armed, gate.mode, why, gate.holder, now_ns, gate.reasons))

    def _on_tick(self, tick: msg.StepTick) -> None:
        self._tick = tick
        self._conductor.ticked(tick.episode_id, tick.step, self._steady.now_ns(), tick.holder)
        self._answer_tick()

    def _on_answer(self, said: msg.RewardAnswer) -> None:
        self._carry_out(self._conductor.answered(said.episode_id, said.step, said.verdict, self._steady.now_ns()))

    def _on_observation(self, seen: msg.Observation) -> None:
        self._carry_out(self._conductor.saw(seen.episode_id, seen.step, seen.state, self._steady.now_ns()))

    def _on_decision(self, decision: msg.Decision) -> None:
        if len(decision.allowed):
            self._conductor.made(decision.episode_id, decision.step, float(decision.allowed[-1]))

    def _on_learner(self, learner: msg.LearnerState) -> None:
        self._handle(e.Learnt(learner.newest_episode, learner.updates_owed, learner.state == "given up"))

    def _on_joints(self, joints: JointState) -> None:
        self._joints, measured = joints, self._motions.joints(joints.name, joints.position)
        self._conductor.moved(float(measured[-1]), partial(self._motions.off_home, measured))
        if self._is_active and self._conductor.state.phase == nouns.HOMING and not self._lockstep:
            self._handle(e.AtHome()) if self._motions.is_home(measured) else self._desk.want(HOME)
        self._answer_tick()

    def _pulse(self) -> None:
        if why := self._goals.end_wanted(self.count_subscribers):
            self._handle(e.Cancel(why))
        self._carry_out(self._conductor.pulse(self._steady.now_ns()) if self._is_active else ())
        self._desk.tend()

    # -- what goes out ---------------------------------------------------------------

    def _handle(self, event: e.Event) -> bool:
        return self._is_active and self._carry_out(self._conductor.handle(event, self._steady.now_ns()))

    def _carry_out(self, commands: Sequence[e.Command]) -> bool:
        """Do what the machine wants; False when it wants nothing."""
        for command in commands:
            if isinstance(command, e.Announce):
                self._announce(command.state)
            elif isinstance(command, e.GoHome):
                self._motions.go_home()
                self._desk.want(HOME if self._lockstep and self._is_active else self._keeper.wanted)
            elif isinstance(command, e.Follow):  # at home it may never have wanted the arm
                can = self._motions.follow(command.legs)
                self._desk.want(HOME) if can else self._handle(e.Nudged(made=False))
            elif isinstance(command, e.LetGo):
                self._desk.want("")
            elif isinstance(command, e.Finish):
                self._goals.finished(command)
        return bool(commands)

    def _announce(self, state: nouns.EpisodeState | None = None) -> None:
        counts = self._kept.keep(self._conductor.counts)
        said = message_of(msg.EpisodeState, state or self._conductor.state, stamp=self.get_clock().now().to_msg())
        self._state_pub.publish(said)
        self._goals.tell(said)
        self.did_work()
        self.report(self._aside.trouble, phase=said.phase, episode=said.episode_id, reason=said.reason, **counts)

    def _answer_tick(self) -> None:
        """Answer the newest tick of our lease, once; in lockstep from the joints of its very stamp."""
        tick, joints = self._tick, self._joints
        if tick is None or joints is None or not self._keeper.lease or tick.lease != self._keeper.lease:
            return
        if self._is_active and (not self._lockstep or joints.header.stamp == tick.stamp):
            self._move(tick, self._motions.joints(joints.name, joints.position))

    def _move(self, tick: msg.StepTick, measured: Any) -> None:
        """Propose the next part of the motion; where one is over, another may follow in the same tick."""
        while (phase := self._conductor.state.phase) in HOLDS:
            self._tick = None
            if proposal := self._motions.proposal(tick.episode_id, tick.step, tick.lease, measured):
                self._proposal_pub.publish(message_of(msg.Proposal, proposal, stamp=self.get_clock().now().to_msg()))
                self._conductor.proposed()
                break
            if not self._handle(e.AtHome() if phase == nouns.HOMING else e.Nudged(passed=self._motions.passed)):
                break


def main() -> None:
    ros.run(lambda: EpisodeNode("episode_node"))


if __name__ == "__main__":
    main()
