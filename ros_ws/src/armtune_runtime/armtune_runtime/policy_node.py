"""The policy as a node: sees, answers the step clock, swaps heads between episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState

from armtune_interfaces.msg import EpisodeState, GateState, Observation, PolicyOffer, PolicyState, Proposal, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import Kind, SteadyClock, topics
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.seats import Seats
from armtune_policies.store import records
from armtune_policies.store.manifest import ModelError, SessionLost
from armtune_policies.store.nouns import EVALUATION, HIDDEN, LIVE
from armtune_safety import managed_node as ros
from armtune_safety.managed_node import ManagedNode, to_ns, to_stamp

from .assemble import Assembler, Missing, Refused, Seen, StepWait
from .lease import LeaseKeeper
from .lease_desk import LeaseDesk
from .settings import PolicyNodeParams
from .think import Thinker, Thought, load_policy

SOURCE, WATCHED = "policy", "teleop"
"""Proposes as the one; watches the steps of the other, that they are recorded as its own."""


class PolicyNode(ManagedNode):
    """Plumbing around ``Assembler``, ``Thinker``, ``LeaseKeeper`` and ``Seats``."""

    Params = PolicyNodeParams
    params: PolicyNodeParams
    _made, _is_active = ExitStack(), False
    _told: Any = None

    def set_up(self) -> None:
        params, policy = self.params, self.params.policy
        self._steady, self._keeper, self._seq = SteadyClock(), LeaseKeeper(), 0
        self._thinker = Thinker.of(params)
        self._seats, self._made = Seats(load_policy(policy, params.task), Path(params.run_folder)), ExitStack()
        self._made.callback(self._seats.close)
        lockstep = params.time == "lockstep"
        self._assembler = Assembler.of(policy, params.robot, params.camera_height_px, params.camera_width_px)
        self._wait = StepWait(self._assembler, lockstep, policy.frame_wait_s, policy.action.period_s)
        self._episode, self._tick, self._counts = EpisodeState(), StepTick(), Counter[str]()
        records.schemas.typestore()
        self._connect(ros.CAMERA_QOS if not lockstep else ros.COMMAND_QOS)

    def _connect(self, sensor_qos: QoSProfile) -> None:
        self._observation_pub = self.create_publisher(Observation, topics.OBSERVATION, ros.EVENT_QOS)
        self._proposal_pub = self.create_publisher(Proposal, topics.proposal(SOURCE), ros.COMMAND_QOS)
        self._state_pub = self.create_publisher(PolicyState, topics.POLICY_STATE, ros.LATCHED_QOS)
        timing = self.params.policy.lease_s, self._steady
        self._desk = LeaseDesk(self, Lease, SOURCE, *timing, self._keeper, self._on_lease)
        wires: list[Any] = [
            *((Image, topics.image(n), partial(self._on_image, n), sensor_qos) for n in self.params.policy.cameras),
            (JointState, topics.JOINT_STATES, self._on_joints, sensor_qos),
            (StepTick, topics.STEP_TICK, self._on_tick, ros.COMMAND_QOS),
            (EpisodeState, topics.EPISODE_STATE, self._on_episode, ros.LATCHED_QOS),
            (GateState, topics.GATE_STATE, self._desk.saw, ros.LATCHED_QOS),
            (PolicyOffer, topics.POLICY_OFFER, partial(self._on_offer, self._seats.offer), ros.LATCHED_QOS),
            (PolicyOffer, topics.POLICY_GUEST, partial(self._on_offer, self._seats.invite), ros.LATCHED_QOS),
        ]
        for wire in wires:
            self._made.callback(self.destroy_subscription, self.create_subscription(*wire))
        self._patience = self.create_timer(max(self.params.policy.frame_wait_s, 0.001), self._answer)
        self._patience.cancel()
        for timer in (self._patience, self.create_timer(0.1, self._tend)):
            self._made.callback(self.destroy_timer, timer)

    def start(self) -> None:
        self._is_active = True
        self._wish()

    def stop(self) -> None:
        if self._is_active:
            self._is_active = False
            self._wish()

    def tear_down(self) -> None:
        self._made.close()

    def _on_image(self, camera: str, image: Image) -> None:
        self._take(self._assembler.take_image, image, camera, image)

    def _on_joints(self, joints: JointState) -> None:
        self._take(self._assembler.take_joints, joints, joints.name, joints.position)

    def _take(self, take: Callable[..., None], message: Image | JointState, *parts: Any) -> None:
        try:
            take(*parts, to_ns(message.header.stamp), self._steady.now_ns())
        except Refused as why:
            self._warn("refused", str(why))
        else:
            self._answer()

    def _on_tick(self, tick: StepTick) -> None:
        wanted = {SOURCE: self._keeper.wanted, WATCHED: self._episode.episode_id if self._is_live else ""}
        if not tick.episode_id == wanted.get(tick.holder, "") != "":
            self._wait.close()
            return
        self._tick = tick
        self._counts["unanswered"] += self._wait.open(to_ns(tick.stamp), self._steady.now_ns())
        self._patience.reset()
        self._answer()

    def _on_episode(self, state: EpisodeState) -> None:
        if state.phase == EpisodeState.READY or state.episode_id != self._episode.episode_id:
            self._seats.at_episode_start(state.purpose == EVALUATION)
        self._episode = state
        self._wish()

    def _wish(self) -> None:
        """Want the arm while an episode is acted, and only then."""
        acts = self._is_live and self._episode.phase == EpisodeState.ACTING and self._seats.current.acts
        self._keeper.want(self._episode.episode_id if acts else "")
        if not self._is_live:
            self._wait.close()
        self._tend()

    @property
    def _is_live(self) -> bool:
        return self._is_active and self._episode.phase in LIVE and not self._episode.outcome

    def _on_offer(self, take: Callable[[Path, str, str], None], offer: PolicyOffer) -> None:
        take(Path(offer.manifest_path), offer.policy_version, offer.manifest_digest)

    def _answer(self) -> None:
        """Answer the open tick as soon as what it needs is there."""
        try:
            seen = self._wait.look(self._steady.now_ns())
        except Missing as why:
            self.report(str(why), level=DiagnosticStatus.WARN)
            return
        if seen is None:
            return
        self._patience.cancel()
        policy = self._seats.current
        try:
            thought = self._thinker.think(policy, seen, self._episode, self._tick)
        except ModelError as why:
            self._warn("failed", str(why))
            if isinstance(why, SessionLost):  # the runner starts a new process, which opens the model anew
                self.fail(str(why))
            return
        if self._tick.holder == SOURCE:
            self._propose(self._tick, policy, seen, thought)
        self._observation_pub.publish(records.encode(thought.observation(self._tick, policy, seen))[1])
        self.did_work()
        self.report(provider=policy.provider, **self._thinker.p50_ms, **self._counts)  # type: ignore[arg-type]

    def _propose(self, tick: StepTick, policy: Policy, seen: Seen, thought: Thought) -> None:
        self._seq += 1
        proposal = Proposal(episode_id=tick.episode_id, step=tick.step, source=SOURCE, seq=self._seq, lease=tick.lease)
        proposal.stamp, proposal.observation_stamp = self.get_clock().now().to_msg(), to_stamp(seen.stamp_ns)
        proposal.spec_digest, proposal.policy_version = policy.manifest.action.digest, policy.version
        proposal.kind, proposal.values = int(Kind.TOOL_DELTA), thought.proposed.tolist()
        self._proposal_pub.publish(proposal)

    def _tend(self) -> None:
        """Make the lease call that is due, and tell what changed of who acts."""
        self._desk.tend()
        state = self._seats.state
        if self._told != (state, self._episode.episode_id):
            self._told = (state, self._episode.episode_id)
            message = PolicyState(**vars(state), provider=self._seats.current.provider)
            message.stamp = self.get_clock().now().to_msg()
            message.inference_p50_s = self._thinker.p50_ms["inference_p50_ms"] / 1e3
            self._state_pub.publish(message)
            shown = HIDDEN if self._episode.purpose == EVALUATION else state.active_version
            self.report(self._seats.trouble, policy=shown, provider=message.provider)

    def _on_lease(self, refused: str) -> None:
        if refused and self._keeper.wanted and self._tick.holder != WATCHED:
            self._warn("lease_refused", refused)

    def _warn(self, kind: str, why: str) -> None:
        self._counts[kind] += 1
        self.report(why, level=DiagnosticStatus.WARN, **self._counts)
        self.get_logger().warning(why, throttle_duration_sec=1.0)


def main() -> None:
    ros.run(lambda: PolicyNode("policy_node"))


if __name__ == "__main__":
    main()
