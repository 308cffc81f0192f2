"""A client that lets a running graph try a policy once: a guest acts, and in simulation truth says when it is done.

Of what practice may know nothing of this is told: who acts is a guest to it, and the truth is heard here alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from armtune_interfaces.msg import PolicyOffer, PolicyState, Truth
from armtune_policies.contract import ConfigError, Direction, topics
from armtune_policies.store.nouns import ABORTED, EVALUATION, LIVE, PAUSED, SAID_FAILURE, SAID_SUCCESS
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS

from .client_node import FIND_S, Client
from .evaluating import Contender, Tried

INVITED_S, ASK_S = 30.0, 2.0
"""How long a policy may take to be verified, and how often it is offered meanwhile."""


@dataclass
class _Heard:
    """What came in since the episode was asked for."""

    state: Any = None
    is_done: bool = False
    told: list[str] = field(default_factory=list)


class EvaluatingClient(Client):
    """A ``Client`` that evaluates. Use as a context manager."""

    def __enter__(self) -> EvaluatingClient:
        super().__enter__()
        self._guests = self.create_publisher(PolicyOffer, self._full(topics.POLICY_GUEST), LATCHED_QOS)
        self._policy, self._heard = PolicyState(), _Heard()
        self.create_subscription(PolicyState, self._full(topics.POLICY_STATE), self._on_policy, LATCHED_QOS)
        self.create_subscription(Truth, self._full(topics.TRUTH), self._on_truth, EVENT_QOS)
        return self

    def is_simulated(self) -> bool:
        """Whether scenes can be laid and the truth be heard."""
        end_s = time.monotonic() + FIND_S
        while not self._has_truth() and time.monotonic() < end_s:
            self._spin()
        return self._has_truth()

    def _has_truth(self) -> bool:
        return bool(self.count_publishers(self._full(topics.TRUTH))) and bool(
            self.count_services(self._full(topics.RESET_WORLD))
        )

    def run_id(self) -> str:
        """Return the name of the run that the graph records."""
        state = self.episode()
        if state is None:
            raise TimeoutError(f"{self.robot}: episode_node did not say which run it records; is it up?")
        return str(state.run_id)

    def invite(self, one: Contender) -> None:
        """Have a policy act in the next episode of evaluation.

        Raises:
            ConfigError: with the reason, when the graph refuses it.
            TimeoutError: when the policy node does not say.
        """
        offer = PolicyOffer(policy_version=one.version, manifest_path=str(one.folder), manifest_digest=one.digest)
        began_s, asked_s, before = time.monotonic(), 0.0, self._policy
        while self._policy.guest_version != one.version:
            waited_s = time.monotonic() - began_s
            is_answer = self._policy is not before or waited_s > ASK_S  # not what it was refused for long ago
            if self._policy.refused_version == one.version and is_answer:
                raise ConfigError(f"the graph refuses a policy: {self._policy.refused_reason}")
            if waited_s > INVITED_S:
                has = self._policy.guest_version or "none"
                raise TimeoutError(f"{self.robot}: the policy node has {has} for evaluation, not {one.version}, after "
                                   f"{INVITED_S:g} s; see its log")  # fmt: skip
            if time.monotonic() - asked_s > ASK_S:
                asked_s = time.monotonic()
                self._guests.publish(offer)
            self._spin()

    def attempt(
        self, one: Contender, direction: Direction, by_truth: bool, stop: Callable[[], bool], say: Callable[[str], None]
    ) -> Tried:
        """Let the invited policy act one episode; nobody lays a scene here.

        Args:
            one: Who was invited; any other who acted makes the attempt void.
            direction: What is to be done.
            by_truth: Whether the truth ends it; else time or an operator's word do.
            stop: Says whether to end early.
            say: Told what the graph waits for.

        Raises:
            ConfigError: when practice is on, or another policy acted.
            TimeoutError: when the graph went away.
        """
        heard = self._heard = _Heard()

        def on_feedback(feedback: Any) -> None:
            heard.state = feedback.state
            if heard.state.phase == PAUSED and heard.state.reason not in heard.told:
                heard.told.append(heard.state.reason)
                say(heard.state.reason)

        def watch() -> bool:
            if by_truth and heard.is_done and heard.state.phase in LIVE and not heard.state.outcome:
                self.trigger(topics.operator("success"))
            return stop()

        result = self.practice(1, 0, on_feedback, watch, topics.EVALUATE, direction)
        state = heard.state
        if state is None or state.purpose != EVALUATION or not state.outcome or state.outcome == ABORTED:
            why = state.reason if state is not None else ""
            return Tried("", None, f"{why}; {result.reason}" if why else result.reason)
        if self._policy.active_version != one.version:
            raise ConfigError(f"another policy acted in {state.episode_id} than was asked to; was its node restarted?")
        said = {SAID_SUCCESS: True, SAID_FAILURE: False}.get(state.mark)
        return Tried(state.episode_id, heard.is_done if by_truth else said)

    def _on_policy(self, said: PolicyState) -> None:
        self._policy = said

    def _on_truth(self, truth: Truth) -> None:
        state = self._heard.state
        if state is not None and state.purpose == EVALUATION and state.phase in LIVE and not state.outcome:
            done = {"forward": truth.forward_success, "backward": truth.backward_success}
            self._heard.is_done = self._heard.is_done or done[state.direction]
