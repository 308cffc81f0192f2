"""The success classifier as a node: an answer per observation, by the deadline, if only "unknown"."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from armtune_interfaces.msg import EpisodeState, Observation, RewardAnswer
from armtune_policies.contract import SteadyClock, Verdict, topics
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.vote import verdict
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import embedding
from armtune_policies.store import nouns, records
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS, ManagedNode, run

from .scorer import Answer, Question, Scorer
from .settings import RewardNodeParams

HUNG_S = 10.0
"""A model at work for longer will not come back: end the process, the runner starts a new one."""


class RewardNode(ManagedNode):
    """Plumbing around ``RewardModel`` and ``Scorer``; answers are published from the scorer's thread."""

    Params = RewardNodeParams
    params: RewardNodeParams
    _made = ExitStack()

    def set_up(self) -> None:
        self._steady, self._counts = SteadyClock(), Counter[str]()
        self._latency_s: deque[float] = deque(maxlen=200)
        self._episode = EpisodeState()
        self._early: Any = None
        self._model = self._load()
        records.schemas.typestore()
        self._threshold = self.params.reward.threshold or self._model.threshold
        self._made = ExitStack()
        self._scorer = Scorer(self._model.score, self._tell, self.params.reward.deadline_s, self._steady)
        self._made.callback(lambda: self._scorer.close() and self._model.close())  # type: ignore[func-returns-value]
        self._answer_pub = self.create_publisher(RewardAnswer, topics.REWARD_ANSWER, EVENT_QOS)
        self._made.callback(self.destroy_timer, self.create_timer(0.02, self._watch))
        # Raw bytes, decoded once into arrays: the same code reads them from files.
        seen = self.create_subscription(Observation, topics.OBSERVATION, self._on_observation, EVENT_QOS, raw=True)
        episode = self.create_subscription(EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS)
        for subscription in (seen, episode):
            self._made.callback(self.destroy_subscription, subscription)

    def tear_down(self) -> None:
        self._made.close()

    def _load(self) -> RewardModel:
        reward, policy = self.params.reward, self.params.policy

        def open_session(graph: bytes) -> OrtSession:
            session = OrtSession(graph, reward.providers)
            self.report(provider=session.provider)
            return session

        model = RewardModel.load(Path(reward.folder), policy.action, policy.observation, open_session)
        for sentence in (self.params.task.forward, self.params.task.backward):
            embedding(model.sentences, sentence)
        return model

    def _on_observation(self, raw: bytes) -> None:
        seen = records.parse_observation(records.schemas.decode(records.schemas.OBSERVATION, raw))
        if seen.episode_id == self._episode.episode_id:
            self._ask(seen)
        else:  # the state that names its sentence is still on its way
            self._early = seen

    def _on_episode(self, state: EpisodeState) -> None:
        self._episode = state
        if self._early is not None and self._early.episode_id == state.episode_id:
            self._ask(self._early)
            self._early = None

    def _ask(self, seen: nouns.Observation) -> None:
        question = Question(seen.episode_id, seen.step, seen.images, self._episode.sentence, self._steady.now_ns())
        expected = self.params.policy.observation.digest
        if seen.observation_digest != expected:
            why = f"observation is of spec {seen.observation_digest}, the reward model of {expected}"
            self._tell(Answer(question, None, 0.0, why))
            return
        self._scorer.ask(question)

    def _tell(self, answer: Answer) -> None:
        """Publish one answer; from any thread."""
        asked, probability = answer.question, answer.probability
        message = RewardAnswer(episode_id=asked.episode_id, step=asked.step, model_digest=self._model.digest)
        message.stamp = self.get_clock().now().to_msg()
        message.verdict = int(verdict(probability, self._threshold))
        message.probability = probability if message.verdict != Verdict.UNKNOWN else float("nan")
        message.latency_s = answer.latency_s
        self._answer_pub.publish(message)
        self._counts[Verdict(message.verdict).name.lower()] += 1
        level = DiagnosticStatus.WARN if answer.why else DiagnosticStatus.OK
        if message.verdict != Verdict.UNKNOWN:
            self.did_work()
            self._latency_s.append(answer.latency_s)
        else:
            self.get_logger().warning(answer.why or "probability is not within 0 to 1", throttle_duration_sec=1.0)
        p50_ms = round(1e3 * median(self._latency_s), 3) if self._latency_s else 0.0
        self.report(answer.why, level=level, latency_p50_ms=p50_ms, model=self._model.version, **self._counts)

    def _watch(self) -> None:
        self._scorer.expire()
        if self._scorer.busy_s > HUNG_S:
            self.fail(f"{self.get_name()}: the reward model did not come back within {HUNG_S:g} s")


def main() -> None:
    run(lambda: RewardNode("reward_node"))


if __name__ == "__main__":
    main()
