"""The board for Prometheus: numbers as they stand when asked for. Units as Prometheus wants them, seconds and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from armtune_policies.contract import Mode

Snapshot = dict[str, Any]
CONTENT_TYPE = CONTENT_TYPE_LATEST
SINGLE: tuple[tuple[str, str, Callable[[Snapshot], float | None]], ...] = (
    ("armtune_alive", "1 while the gate is heard", lambda s: float(s["is_alive"])),
    ("armtune_gate_mode", "RUN 0, SLOW 1, HOLD 2, STOP 3", lambda s: float(Mode[s["gate"]["mode"]])),
    ("armtune_gate_armed", "1 while armed", lambda s: float(s["gate"]["armed"])),
    ("armtune_step_hertz", "control steps a second", lambda s: s["step_hz"]),
    ("armtune_episode_index", "of the episode that is on", lambda s: s["episode"]["index"]),
    ("armtune_reward_probability", "of success, as the classifier says", lambda s: s["reward"]["probability"]),
    ("armtune_reward_latency_seconds", "of the newest answer", lambda s: s["reward"]["latency_ms"] / 1e3),
    ("armtune_policy_inference_seconds", "median", lambda s: s["policy"]["inference_ms"] / 1e3),
    ("armtune_policy_age_seconds", "since this version began to act", lambda s: s["policy_age_s"]),
    ("armtune_learner_updates_per_second", "gradient steps", lambda s: s["updates_hz"]),
    ("armtune_learner_waiting_episodes", "not learnt from yet", lambda s: s["learner"]["waiting_episodes"]),
    ("armtune_disk_free_bytes", "where runs are kept", lambda s: s["machine"]["disk"]["free_mb"] * 1e6),
    ("armtune_console_viewers", "live pages", lambda s: s["viewers"]),
)
"""Name, help, and where on the board; what is not there yet is left out."""


class _Board(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        said = self._snapshot()
        for name, text, where in SINGLE:
            if (value := _found(where, said)) is not None:
                yield GaugeMetricFamily(name, text, value=value)
        learner = said.get("learner")
        if learner:
            yield CounterMetricFamily("armtune_learner_updates", "gradient steps", value=learner["updates_done"])
        yield _labelled("armtune_message_age_seconds", "since it was heard", "kind", said["ages_s"])
        yield _labelled(
            "armtune_temperature_celsius", "as sensors say", "sensor", said.get("machine", {}).get("temperatures", {})
        )
        up = {name: float(phase == "active") for name, phase in said.get("up", {}).items()}
        yield _labelled("armtune_node_up", "1 while the supervisor finds it active", "node", up)
        refused = CounterMetricFamily("armtune_gate_refusals", "proposals refused", labels=["reason"])
        for reason, count in said.get("gate", {}).get("refusals", {}).items():
            refused.add_metric([reason], count)
        yield refused


def _found(where: Callable[[Snapshot], float | None], said: Snapshot) -> float | None:
    try:
        return where(said)
    except KeyError:
        return None


def _labelled(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def exposition(snapshot: Callable[[], Snapshot]) -> Callable[[], bytes]:
    """Return what gives the text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(_Board(snapshot))
    return lambda: generate_latest(registry)
