"""Finds where the console of a running graph is served."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray

from armtune_policies.contract import topics
from armtune_safety.managed_node import EVENT_QOS

from .client_node import Client

HEARD_S = 4.0
"""Every node reports once a second."""


class LookingClient(Client):
    """A ``Client`` that asks for the console's address. Use as a context manager."""

    def __enter__(self) -> LookingClient:
        super().__enter__()
        return self

    def console(self) -> str:
        """Return the address, blank where the graph has no console."""
        found: list[str] = []

        def look(array: DiagnosticArray) -> None:
            for status in array.status:
                if status.name.startswith("console_node") and status.hardware_id == self.robot:
                    found.extend(value.value for value in status.values if value.key == "page")

        subscription = self.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, look, EVENT_QOS)
        end_s = time.monotonic() + HEARD_S
        while not found and time.monotonic() < end_s:
            self._spin()
        self.destroy_subscription(subscription)
        return found[-1] if found else ""
