"""Practice as a node: the only one that begins and ends an episode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from armtune_interfaces.action import Practice
from armtune_interfaces.msg import EpisodeState, GateState, Proposal, RewardAnswer, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import topics
from armtune_policies.episode import events as e
from armtune_policies.episode.conductor import Conductor
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.store import nouns
from armtune_policies.store.episode_reader import next_index
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, EVENT_QOS, LATCHED_QOS, ManagedNode, run

from .homing import SOURCE, Homing
from .lease import Ask, LeaseKeeper
from .practice_settings import EpisodeNodeParams

RESUME = f"{topics.PRACTICE}/resume"
PULSE_S = 0.02


class EpisodeNode(ManagedNode):
    """Plumbing around ``Conductor``, ``Homing`` and ``LeaseKeeper``."""

    Params = EpisodeNodeParams
    params: EpisodeNodeParams
    _is_active = False
    _server: ActionServer | None = None
    _goal: Any = None

    def set_up(self) -> None:
        p = self.params
        first = next_index(Path(p.run_folder), p.run_id)
        machine = PracticeMachine(p.episode, p.task, p.rest_s, p.run_id, p.config_hash, first)
        self._conductor = Conductor(p.episode, machine)
        self._homing = Homing(p.robot, p.episode, p.rate_hz)
        self._keeper = LeaseKeeper()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._tick: StepTick | None = None
        self._connect()

    def _connect(self) -> None:
        self._state_pub = self.create_publisher(EpisodeState, topics.EPISODE_STATE, LATCHED_QOS)
        self._proposal_pub = self.create_publisher(Proposal, topics.proposal(SOURCE), COMMAND_QOS)
        self._lease_client = self.create_client(Lease, topics.LEASE)
        wires = [
            (GateState, topics.GATE_STATE, self._on_gate, LATCHED_QOS),
            (StepTick, topics.STEP_TICK, self._on_tick, EVENT_QOS),
            (RewardAnswer, topics.REWARD_ANSWER, self._on_answer, EVENT_QOS),
            (JointState, topics.JOINT_STATES, self._on_joints, CAMERA_QOS),
        ]
        self._wires = [self.create_subscription(*wire) for wire in wires]
        self._service = self.create_service(Trigger, RESUME, self._on_resume)
        self._timer = self.create_timer(PULSE_S, self._pulse, clock=self._steady)
        asked: dict[str, Any] = {"goal_callback": self._on_goal, "handle_accepted_callback": self._on_accepted}
        asked["cancel_callback"] = lambda _: CancelResponse.ACCEPT
        self._server = ActionServer(self, Practice, topics.PRACTICE, self._result, **asked)

    def start(self) -> None:
        self._is_active = True
        self._announce()

    def stop(self) -> None:
        """An episode that is being acted ends as aborted, so that its file can be closed whole."""
        if self._is_active:
            self._handle(e.Cancel("episode_node was stopped"))
            self._is_active = False
            self._keeper.want("")
            self._tend_lease()

    def tear_down(self) -> None:
        if self._server is not None:
            for wire in self._wires:
                self.destroy_subscription(wire)
            self._server.destroy()
            self.destroy_service(self._service)
            self.destroy_timer(self._timer)
            self._server = None

    # -- the action: practice --------------------------------------------------------

    def _on_goal(self, _: Practice.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self._is_active and self._goal is None else GoalResponse.REJECT

    def _on_accepted(self, goal: Any) -> None:
        """Begin. The goal is executed when practice is over: an awaiting coroutine is polled without pause."""
        self._goal = goal
        self._handle(e.Begin(goal.request.episodes, goal.request.steps))

    def _result(self, goal: Any) -> Practice.Result:
        finish, self._goal = self._finish, None
        (goal.canceled if finish.is_cancelled and goal.is_cancel_requested else goal.succeed)()
        return Practice.Result(reason=finish.reason, **vars(self._conductor.tally))

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        phase = self._conductor.state.phase
        response.success = phase == nouns.PAUSED
        response.message = "" if response.success else f"nothing to resume: practice is {phase}"
        self._handle(e.Resume())
        return response

    # -- what arrives ----------------------------------------------------------------

    def _on_gate(self, gate: GateState) -> None:
        now_ns = self._steady.now().nanoseconds
        self._keeper.seen(gate.lease, now_ns)
        why = "; ".join([*gate.latches, *gate.reasons]) or ("stopped" if gate.armed else "not armed")
        self._carry_out(self._conductor.gate(gate.armed, gate.mode, why, gate.holder, now_ns))

    def _on_tick(self, tick: StepTick) -> None:
        self._tick = tick
        self._conductor.ticked(tick.episode_id, tick.step, self._steady.now().nanoseconds)
        self._answer_tick()

    def _on_answer(self, answer: RewardAnswer) -> None:
        now_ns = self._steady.now().nanoseconds
        self._carry_out(self._conductor.answered(answer.episode_id, answer.step, answer.verdict, now_ns))

    def _on_joints(self, joints: JointState) -> None:
        if self._conductor.state.phase != nouns.HOMING:
            return
        if self._homing.is_home(joints.name, joints.position):
            self._handle(e.AtHome())
        else:
            self._keeper.want("home")
            self._tend_lease()

    def _pulse(self) -> None:
        if self._goal is not None and self._goal.is_cancel_requested:
            self._handle(e.Cancel("cancelled"))
        self._carry_out(self._conductor.pulse(self._steady.now().nanoseconds))
        self._tend_lease()

    # -- what goes out ---------------------------------------------------------------

    def _handle(self, event: e.Event) -> None:
        if self._is_active:
            self._carry_out(self._conductor.handle(event, self._steady.now().nanoseconds))

    def _carry_out(self, commands: Sequence[e.Command]) -> None:
        for command in commands:
            if isinstance(command, e.Announce):
                self._announce(command.state)
            elif isinstance(command, e.LetGo):
                self._keeper.want("")
                self._tend_lease()
            elif isinstance(command, e.Finish):
                self._finish = command
                self._goal.execute()

    def _announce(self, state: nouns.EpisodeState | None = None) -> None:
        fields = {k: value for k, value in vars(state or self._conductor.state).items() if k != "stamp_ns"}
        message = EpisodeState(stamp=self.get_clock().now().to_msg(), **fields)
        self._state_pub.publish(message)
        if self._goal is not None:
            self._goal.publish_feedback(Practice.Feedback(state=message, steps=self._conductor.tally.steps))
        self.did_work()
        self.report(phase=message.phase, episode=message.episode_id, reason=message.reason)

    def _answer_tick(self) -> None:
        """Propose the home pose for the newest tick of our lease, once."""
        tick = self._tick
        if tick is None or not self._keeper.lease or tick.lease != self._keeper.lease:
            return
        self._tick = None
        fields = {**vars(self._homing.proposal(tick.episode_id, tick.step, tick.lease))}
        del fields["observation_stamp_ns"]
        self._proposal_pub.publish(Proposal(stamp=self.get_clock().now().to_msg(), **fields))

    def _tend_lease(self) -> None:
        if (ask := self._keeper.due(self._steady.now().nanoseconds)) is not None:
            op = Lease.Request.RELEASE if ask.lease else Lease.Request.ACQUIRE
            request = Lease.Request(op=op, source=SOURCE, lease=ask.lease, duration_s=self.params.episode.lease_s)
            self._lease_client.call_async(request).add_done_callback(partial(self._on_lease, ask))

    def _on_lease(self, ask: Ask, future: Future) -> None:
        answer = future.result()
        self._keeper.answered(ask, answer.granted, answer.lease, self._steady.now().nanoseconds)
        self._answer_tick()  # the gate may have ticked before it told us that the arm is ours


def main() -> None:
    run(lambda: EpisodeNode("episode_node"))


if __name__ == "__main__":
    main()
