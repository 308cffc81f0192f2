"""The test as a source of proposals: it asks for the arm and answers the step clock, well or badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rig import FaultStack
from sensor_msgs.msg import JointState

from armtune_interfaces import msg, srv
from armtune_policies.contract import ActionSpec, topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS

Answer = tuple[Sequence[float], dict[str, Any]]
"""Values, and what else differs from a good proposal's fields."""
REST = [0.0] * 6 + [1.0]
APART_S = 0.02
"""Between two proposals for one step: the gate keeps only the newest that it has not read."""


def swing(step: int) -> list[float]:
    """To and fro across the table at 0.2 m/s: a well-behaved source."""
    return [0.0, 0.04 if step % 4 in (0, 3) else -0.04, 0.0, 0.0, 0.0, 0.0, 1.0]


def always(values: Sequence[float], **changes: Any) -> Callable[[int], list[Answer]]:
    """One proposal at every step."""
    return lambda _: [(values, changes)]


class Hand:
    """Holds the arm as ``teleop`` while the block lasts; ``answer`` says what it proposes at a step, in order.

    ``sent_ns`` is when each step was answered first, ``stamp`` that of the newest joint state.
    """

    source = "teleop"

    def __init__(self, graph: FaultStack, answer: Callable[[int], list[Answer]]) -> None:
        self.graph, self.answer = graph, answer
        self.digest = ActionSpec(rate_hz=graph.config.policy.rate_hz).digest
        self.lease = self.seq = 0
        self.sent_ns: dict[int, int] = {}
        self.episode_id = f"hand-{time.monotonic_ns()}"
        self.stamp: Any = None

    @property
    def began_ns(self) -> int:
        """When its first step was answered; a busy machine may have let step 0 pass."""
        assert self.sent_ns, "the hand was not asked for a single step"
        return min(self.sent_ns.values())

    def __enter__(self) -> Hand:
        node, full = self.graph.stack.node, self.graph.full
        self.publisher = self.graph.stack.publisher(full(topics.proposal(self.source)), msg.Proposal, COMMAND_QOS)
        self._ears = [
            node.create_subscription(msg.StepTick, full(topics.STEP_TICK), self._on_tick, COMMAND_QOS),
            node.create_subscription(JointState, full(topics.JOINT_STATES), self._on_joints, CAMERA_QOS),
        ]
        request = srv.Lease.Request(op=srv.Lease.Request.ACQUIRE, source=self.source, episode_id=self.episode_id)
        request.duration_s = 10.0
        granted = self.graph.call(srv.Lease, topics.LEASE, request)
        assert granted.granted, granted.reason
        self.lease = granted.lease
        return self

    def __exit__(self, *_: object) -> None:
        lease, self.lease = self.lease, 0
        request = srv.Lease.Request(op=srv.Lease.Request.RELEASE, lease=lease)
        self.graph.call(srv.Lease, topics.LEASE, request)  # refused when a STOP has ended it
        for ear in self._ears:
            self.graph.stack.node.destroy_subscription(ear)
        self.graph.stack.node.destroy_publisher(self.publisher)

    def _on_joints(self, m: JointState) -> None:
        self.stamp = m.header.stamp

    def _on_tick(self, tick: msg.StepTick) -> None:
        if not self.lease or tick.lease != self.lease or self.stamp is None:
            return
        for i, said in enumerate(self.answer(tick.step)):
            time.sleep(APART_S * bool(i))
            self.sent_ns.setdefault(tick.step, time.monotonic_ns())
            self.publisher.publish(self.proposal(tick, *said))

    def proposal(self, tick: msg.StepTick, values: Sequence[float], changes: dict[str, Any]) -> msg.Proposal:
        """A whole proposal for a tick, with ``changes`` to its fields."""
        self.seq += 1
        fields = {"episode_id": tick.episode_id, "step": tick.step, "source": self.source, "seq": self.seq}
        fields |= {"lease": tick.lease, "spec_digest": self.digest, "values": [float(v) for v in values]}
        fields |= {"stamp": tick.stamp, "observation_stamp": self.stamp}
        return msg.Proposal(**{**fields, **changes})

    def decided(self, fits: Callable[[msg.Decision], bool] = lambda _: True, timeout_s: float = 5.0) -> msg.Decision:
        """Wait for the first fitting decision on our own steps."""
        try:
            return self.graph.decisions.first(0, lambda d: d.episode_id == self.episode_id and fits(d), timeout_s)[1]
        except AssertionError as why:
            said = [(d.step, d.mode, list(d.limited_by), d.refused) for d in self.decisions()]
            raise AssertionError(f"{why}\nof ours: {said}\ngate: {self.graph.gate.last.reasons}") from None

    def decisions(self, first: int = 0) -> list[msg.Decision]:
        """The decisions on our own steps so far, from step ``first`` on."""
        said = (d for _, d in self.graph.decisions.since(0))
        return [d for d in said if d.episode_id == self.episode_id and d.step >= first]

    def does(self, steps: int) -> list[msg.Decision]:
        """Wait until so many more of our steps are decided; return their decisions."""
        first = max((d.step for d in self.decisions()), default=-1) + 1

        def done() -> bool:
            assert self.graph.gate.last.armed, f"stopped: {self.graph.gate.last.reasons}"
            return len(self.decisions(first)) >= steps

        self.graph.wait(done, f"{steps} steps of {self.source}", 5.0 + steps / 4)
        return self.decisions(first)[:steps]
