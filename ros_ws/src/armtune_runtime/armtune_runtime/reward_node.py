"""The success classifier as a node: an answer per observation, by the deadline; swapped between episodes."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from armtune_interfaces.msg import EpisodeState, Observation, PolicyOffer, RewardAnswer
from armtune_policies.contract import SteadyClock, Verdict, topics
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.runtime.providers import Hardware
from armtune_policies.runtime.slot import Slot, SlotState
from armtune_policies.store import nouns, records
from armtune_safety.managed_node import EVENT_QOS, EXIT_FAILED, LATCHED_QOS, ManagedNode, run

from .reading import Latencies, Reader
from .scorer import THREAD, Answer, Question, Scorer
from .settings import RewardNodeParams

WATCH_S, SUMMARY = 0.02, 50
"""How often is watched, and at which of these times latencies are summed up."""


class RewardNode(ManagedNode):
    """Plumbing around ``Slot``, ``Scorer`` and ``Reader``; answers are published from the scorer's thread."""

    Params = RewardNodeParams
    params: RewardNodeParams
    _made = ExitStack()

    def set_up(self) -> None:
        self._steady, self._counts, self._latencies = SteadyClock(), Counter[str](), Latencies()
        self._told, self._why, self._watched, self._shown = SimpleQueue[tuple[Verdict, Answer]](), "", 0, SlotState("")
        self._reader = Reader(self.params.reward, self.params.seed)
        self._episode = EpisodeState()
        self._early: Any = None
        first = self._load(Path(self.params.reward.folder))
        self._slot = Slot(first, lambda _, folder: self._load(folder), RewardModel.close)
        records.schemas.typestore()
        self._made = ExitStack()
        self._scorer = Scorer(self._tell, self.params.reward.deadline_s, self._steady)
        self._made.callback(lambda: self._scorer.close() and self._slot.current.close())  # type: ignore[func-returns-value]
        self._made.callback(self._slot.close)
        self._answer_pub = self.create_publisher(RewardAnswer, topics.REWARD_ANSWER, EVENT_QOS)
        self._made.callback(self.destroy_timer, self.create_timer(WATCH_S, self._watch))
        # Raw bytes, decoded once into arrays: the same code reads them from files.
        seen = self.create_subscription(Observation, topics.OBSERVATION, self._on_observation, EVENT_QOS, raw=True)
        episode = self.create_subscription(EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS)
        offer = self.create_subscription(PolicyOffer, topics.REWARD_OFFER, self._on_offer, LATCHED_QOS)
        for subscription in (seen, episode, offer):
            self._made.callback(self.destroy_subscription, subscription)

    def tear_down(self) -> None:
        self._made.close()

    def _load(self, folder: Path) -> RewardModel:
        """Load a model; from the offers' thread, too."""
        reward, policy, task = self.params.reward, self.params.policy, self.params.task
        hardware = Hardware(reward.providers, reward.worker, reward.half, reward.deadline_s / 2)
        asked = (task.forward, task.backward)
        return RewardModel.load(folder, policy.action, policy.observation, hardware.open_session, asked)

    def _on_observation(self, raw: bytes) -> None:
        seen = records.parse_observation(records.schemas.decode(records.schemas.OBSERVATION, raw))
        if seen.episode_id == self._episode.episode_id:
            self._ask(seen)
        else:  # the state that names its sentence is still on its way
            self._early = seen

    def _on_offer(self, offer: PolicyOffer) -> None:
        if offer.manifest_digest != self._slot.current.manifest_digest:
            self._slot.offer(Path(offer.manifest_path), offer.policy_version, offer.manifest_digest)

    def _on_episode(self, state: EpisodeState) -> None:
        """An episode is judged by one model."""
        if state.phase == EpisodeState.READY or state.episode_id != self._episode.episode_id:
            self._slot.at_episode_start()
        self._episode = state
        if self._early is not None and self._early.episode_id == state.episode_id:
            self._ask(self._early)
            self._early = None

    def _ask(self, seen: nouns.Observation) -> None:
        asked = (self._episode.sentence, self._steady.now_ns(), self._slot.current)
        question = Question(seen.episode_id, seen.step, seen.images, *asked)
        expected = self.params.policy.observation.digest
        if seen.observation_digest != expected:
            why = f"observation is of spec {seen.observation_digest}, the reward model of {expected}"
            self._tell(Answer(question, None, 0.0, why))
            return
        self._scorer.ask(question)

    def _tell(self, answer: Answer) -> None:
        """Publish one answer; from any thread. What it says of the node is for ``_watch`` to report."""
        asked = answer.question
        said, probability = self._reader.read(answer)
        message = RewardAnswer(episode_id=asked.episode_id, step=asked.step, verdict=int(said), probability=probability)
        message.stamp, message.latency_s = self.get_clock().now().to_msg(), answer.latency_s
        message.model_digest = self._reader.digest(asked.model)
        self._answer_pub.publish(message)
        self._told.put((said, answer))

    def _watch(self) -> None:
        self._scorer.expire()
        told, self._watched = not self._told.empty(), self._watched + 1
        while not self._told.empty():
            self._note(*self._told.get_nowait())
        is_due = self._watched % SUMMARY == 0
        if told or is_due or self._slot.state != self._shown:
            self._report(self._latencies.values() if is_due else {})
        if (
            self._scorer.busy_s > self.params.reward.hang_s and self.exit_code is None
        ):  # the runner starts a new process
            self.fail(f"{self.get_name()}: the reward model did not come back within {self.params.reward.hang_s:g} s")

    def _note(self, said: Verdict, answer: Answer) -> None:
        """Count an answer, and keep why there was none."""
        self._counts[said.name.lower()] += 1
        self._why = answer.why
        if answer.is_lost and answer.question.model is self._slot.current:  # else it was closed when another took over
            self.fail(f"{self.get_name()}: {answer.why}")
        if said is not Verdict.UNKNOWN:
            self.did_work()
            self._latencies.add(answer.latency_s)
        elif answer.why:
            self.get_logger().warning(answer.why, throttle_duration_sec=1.0)

    def _report(self, latencies: Mapping[str, float | str]) -> None:
        state, before, self._shown = self._slot.state, self._shown, self._slot.state
        refused = f"{state.refused_version}: {state.refused_reason}" if state.refused_reason else ""
        if refused and state != before:
            self.get_logger().warning(f"refused offer {refused}")
        level = DiagnosticStatus.WARN if self._why else DiagnosticStatus.OK
        models = {"model": state.active_version, "waiting": state.waiting_version, "refused": refused}
        self.report(
            self._why or refused, level=level, provider=self._slot.current.provider, **models, **latencies,
            **self._counts,
        )  # fmt: skip


def main() -> None:
    try:
        run(lambda: RewardNode("reward_node"))
    finally:
        if any(thread.name == THREAD for thread in threading.enumerate()):
            os._exit(EXIT_FAILED)  # a model at work would abort the interpreter on its way out


if __name__ == "__main__":
    main()
