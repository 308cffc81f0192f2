"""Starts, watches and ends the learner process, and offers its heads; no learning in here."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from armtune_interfaces.msg import EpisodeState, LearnerState, PolicyOffer, PolicyState
from armtune_policies.contract import SteadyClock, topics
from armtune_policies.store.nouns import EVALUATION
from armtune_safety.managed_node import LATCHED_QOS, ManagedNode, run

from .learner_process import LearnerProcess, Offer, job_of, spawn
from .learning_pace import LearningPace
from .settings import ONLINE, LearnerNodeParams

POLL_S = 0.05


class LearnerNode(ManagedNode):
    """Plumbing around ``LearnerProcess``: episodes that end go in, offers come out."""

    Params = LearnerNodeParams
    params: LearnerNodeParams
    _made = ExitStack()
    _works = ExitStack()

    def set_up(self) -> None:
        learner = self.params.learner
        is_online = learner.recipe == ONLINE
        self._episode = EpisodeState()
        self._pace = LearningPace(is_online and self.params.time == "lockstep")
        every = 0 if is_online else learner.refit_every
        self._learner = LearnerProcess(
            partial(spawn, job_of(self.params)), SteadyClock(), learner.restarts, learner.hang_s, every
        )
        self._made = ExitStack()
        self._state_pub = self.create_publisher(LearnerState, topics.LEARNER_STATE, LATCHED_QOS)
        self._told: dict[str, Any] = {}
        self._offer_pub = self.create_publisher(PolicyOffer, topics.POLICY_OFFER, LATCHED_QOS)
        episode = self.create_subscription(EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS)
        policy = self.create_subscription(PolicyState, topics.POLICY_STATE, self._on_policy, LATCHED_QOS)
        for made in (episode, policy):
            self._made.callback(self.destroy_subscription, made)

    def start(self) -> None:
        self._works = ExitStack()
        self._works.callback(self._learner.close)
        self._works.callback(self.destroy_timer, self.create_timer(POLL_S, self._poll))

    def stop(self) -> None:
        self._works.close()

    def tear_down(self) -> None:
        self.stop()
        self._made.close()

    def _on_episode(self, state: EpisodeState) -> None:
        """Count an episode once: when its outcome comes, or another takes its place unseen; none of evaluation's."""
        if state.purpose == EVALUATION:
            return
        before, self._episode = self._episode, state
        if before.episode_id and before.episode_id != state.episode_id and not before.outcome:
            self._ended(before.episode_id)
        if state.outcome and not (before.outcome and before.episode_id == state.episode_id):
            self._ended(state.episode_id)
        if state.phase == EpisodeState.ACTING:
            self._pace.acts(state.episode_id)

    def _ended(self, episode_id: str) -> None:
        self._learner.finished(episode_id)
        self._pace.ended(episode_id)

    def _on_policy(self, policy: PolicyState) -> None:
        self._pace.policy(policy.active_version, policy.waiting_version, policy.refused_version)

    def _poll(self) -> None:
        learner = self._learner
        offers = learner.poll()
        self._pace.paid(learner.concluded, offers)
        learner.concluded = []
        for offer in self._pace.due():
            self._publish(offer)
        is_fine = learner.state != "given up" and not learner.trouble
        self.report(
            learner.trouble or learner.state,
            level=DiagnosticStatus.OK if is_fine else DiagnosticStatus.WARN,
            state=learner.state,
            pid=learner.pid,
            restarts_left=learner.restarts_left,
            **{f"last_{key}": value for key, value in learner.last.items()},
        )
        self._tell()

    def _tell(self) -> None:
        """Publish the learner's state when it changed; in lockstep an episode waits until nothing is owed."""
        learner = self._learner
        said: dict[str, Any] = {
            "state": learner.state,
            "newest_episode": learner.newest_episode,
            "reason": learner.trouble,
        }
        said |= {"waiting_episodes": learner.waiting_episodes, "updates_done": learner.updates_done}
        said |= {"restarts_left": learner.restarts_left, "updates_owed": max(learner.left, 1) if self._pace.owes else 0}
        if said != self._told:
            self._told = said
            self._state_pub.publish(LearnerState(stamp=self.get_clock().now().to_msg(), **said))

    def _publish(self, offer: Offer) -> None:
        message = PolicyOffer(policy_version=offer.version, manifest_path=offer.folder)
        message.manifest_digest, message.stamp = offer.manifest_digest, self.get_clock().now().to_msg()
        self._offer_pub.publish(message)
        self.did_work()
        self.get_logger().info(f"offered {offer.version}")


def main() -> None:
    run(lambda: LearnerNode("learner_node"))


if __name__ == "__main__":
    main()
