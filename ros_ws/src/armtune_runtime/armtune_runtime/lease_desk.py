"""The lease calls of one source: asks when its keeper wants to, and tells it what came back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from armtune_policies.contract import Clock, topics

from .lease import Ask, LeaseKeeper


class LeaseDesk:
    """One source's way to the gate's lease service.

    Args:
        node: Whose client it is.
        kind: The service type.
        source: Who asks.
        duration_s: Expiry of a lease unless a proposal renews it [s].
        clock: Steady.
        keeper: Says when to ask.
        on_answer: Called after each answer with the gate's reason, blank where it said yes.
    """

    def __init__(
        self, node: Any, kind: Any, source: str, duration_s: float, clock: Clock, keeper: LeaseKeeper,
        on_answer: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._client, self._kind = node.create_client(kind, topics.LEASE), kind
        self._source, self._duration_s, self._clock, self._keeper = source, duration_s, clock, keeper
        self._on_answer = on_answer

    def want(self, episode_id: str) -> None:
        """Want the arm for an episode (or another word for what it is for), blank for not at all."""
        self._keeper.want(episode_id)
        self.tend()

    def saw(self, gate: Any) -> None:
        """Take the gate's state, which says whose the lease is."""
        self._keeper.seen(gate.lease, self._clock.now_ns())

    def tend(self) -> None:
        """Make the call that is due, if any."""
        if not self._client.service_is_ready() or (ask := self._keeper.due(self._clock.now_ns())) is None:
            return
        operation = self._kind.Request.RELEASE if ask.lease else self._kind.Request.ACQUIRE
        request = self._kind.Request(op=operation, source=self._source, lease=ask.lease)
        request.episode_id, request.duration_s = ask.counted, self._duration_s
        self._client.call_async(request).add_done_callback(partial(self._answered, ask))

    def _answered(self, ask: Ask, future: Any) -> None:
        answer = future.result()
        self._keeper.answered(ask, answer.granted, answer.lease, self._clock.now_ns())
        self._on_answer("" if answer.granted else answer.reason)
        self.tend()
