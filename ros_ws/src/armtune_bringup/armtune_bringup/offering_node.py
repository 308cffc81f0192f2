"""Offers a success classifier to a running graph, and waits for what becomes of it."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray

from armtune_interfaces.msg import PolicyOffer
from armtune_policies.contract import ConfigError, topics
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS

from .client_node import Client

OFFER_S = 30.0


class OfferingClient(Client):
    """A ``Client`` that can offer. Use as a context manager."""

    def __enter__(self) -> OfferingClient:
        super().__enter__()
        return self

    def offer_reward(self, folder: str, version: str, manifest_digest: str) -> None:
        """Offer a model, and wait until the reward node has it or refuses it.

        Raises:
            ConfigError: with the reason, when it is refused.
            TimeoutError: when the reward node does not say.
        """
        said: dict[str, str] = {}

        def hear(message: DiagnosticArray) -> None:
            for part in message.status:
                if (part.name, part.hardware_id) == ("reward_node: work", self.robot):
                    said.update({value.key: value.value for value in part.values})

        offers = self.create_publisher(PolicyOffer, self._full(topics.REWARD_OFFER), LATCHED_QOS)
        self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, hear, EVENT_QOS)
        offers.publish(PolicyOffer(policy_version=version, manifest_path=folder, manifest_digest=manifest_digest))
        end_s = time.monotonic() + OFFER_S
        while time.monotonic() < end_s:
            self._spin()
            if version in (said.get("waiting"), said.get("model")):
                return
            if said.get("refused", "").startswith(f"{version}: "):
                raise ConfigError(f"refused {said['refused']}")
        raise TimeoutError(f"{self.robot}: the reward node did not say what became of the offer in {OFFER_S:g} s")
