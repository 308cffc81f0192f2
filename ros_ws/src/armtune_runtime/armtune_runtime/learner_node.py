"""Starts, watches and ends the learner process, and offers its heads; no learning in here."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from armtune_interfaces.msg import EpisodeState, LearnerState, PolicyOffer
from armtune_policies.contract import SteadyClock, topics
from armtune_safety.managed_node import LATCHED_QOS, ManagedNode, run

from .learner_process import LearnerProcess, Offer, spawn
from .settings import LearnerNodeParams


class LearnerNode(ManagedNode):
    """Plumbing around ``LearnerProcess``: episodes that end go in, offers come out."""

    Params = LearnerNodeParams
    params: LearnerNodeParams
    _made = ExitStack()
    _works = ExitStack()

    def set_up(self) -> None:
        learner = self.params.learner
        self._episode = EpisodeState()
        self._learner = LearnerProcess(
            partial(spawn, _job(self.params)), SteadyClock(), learner.restarts, learner.hang_s, learner.refit_every
        )
        self._made = ExitStack()
        self._state_pub = self.create_publisher(LearnerState, topics.LEARNER_STATE, LATCHED_QOS)
        self._told: dict[str, Any] = {}
        self._offer_pub = self.create_publisher(PolicyOffer, topics.POLICY_OFFER, LATCHED_QOS)
        episode = self.create_subscription(EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS)
        self._made.callback(self.destroy_subscription, episode)

    def start(self) -> None:
        self._works = ExitStack()
        self._works.callback(self._learner.close)
        self._works.callback(self.destroy_timer, self.create_timer(0.1, self._poll))

    def stop(self) -> None:
        self._works.close()

    def tear_down(self) -> None:
        self.stop()
        self._made.close()

    def _on_episode(self, state: EpisodeState) -> None:
        """Count an episode once: when its outcome comes, or another takes its place unseen."""
        before, self._episode = self._episode, state
        if before.episode_id and before.episode_id != state.episode_id and not before.outcome:
            self._learner.finished(before.episode_id)
        if state.outcome and not (before.outcome and before.episode_id == state.episode_id):
            self._learner.finished(state.episode_id)

    def _poll(self) -> None:
        for offer in self._learner.poll():
            self._publish(offer)
        learner = self._learner
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
        """Publish the learner's state when it changed. No pace is set yet, so nothing is owed."""
        learner = self._learner
        said: dict[str, Any] = {
            "state": learner.state,
            "newest_episode": learner.newest_episode,
            "reason": learner.trouble,
        }
        said |= {"waiting_episodes": learner.waiting_episodes, "updates_done": learner.updates_done}
        said |= {"restarts_left": learner.restarts_left}
        if said != self._told:
            self._told = said
            self._state_pub.publish(LearnerState(stamp=self.get_clock().now().to_msg(), **said))

    def _publish(self, offer: Offer) -> None:
        message = PolicyOffer(policy_version=offer.version, manifest_path=offer.folder)
        message.manifest_digest, message.stamp = offer.manifest_digest, self.get_clock().now().to_msg()
        self._offer_pub.publish(message)
        self.did_work()
        self.get_logger().info(f"offered {offer.version}")


def _job(params: LearnerNodeParams) -> dict[str, Any]:
    """What the process is told."""
    learner, policy = params.learner, params.policy
    told = ("recipe", "updates", "batch", "learning_rate", "nice", "memory_mb")
    return {
        **{name: getattr(learner, name) for name in told},
        "policy_folder": policy.folder,
        "cameras": list(policy.cameras),
        "height_px": policy.height_px,
        "width_px": policy.width_px,
        "rate_hz": policy.rate_hz,
        "run_folder": params.run_folder,
        "demos_folder": params.demos_folder,
        "seed": params.seed,
    }


def main() -> None:
    run(lambda: LearnerNode("learner_node"))


if __name__ == "__main__":
    main()
