"""Messages as plain values for the board; takes messages, imports none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armtune_policies.contract import Mode, Verdict, topics
from armtune_policies.store.nouns import EVALUATION, GATE, HIDDEN, PAUSED

Facts = dict[str, Any]


def gate(m: Any) -> Facts:
    named: Facts = {"mode": Mode(m.mode).name, "armed": m.armed, "reasons": list(m.reasons), "holder": m.holder}
    counts = dict(zip(m.refusals, map(int, m.refusal_counts)))
    return {**named, "latches": list(m.latches), "boot_id": str(m.boot_id), "refusals": counts}


def episode(m: Any) -> Facts:
    names = ("run_id", "episode_id", "index", "task", "direction", "sentence", "phase", "outcome", "reason",
             "purpose", "waits_for")  # fmt: skip
    asks = m.phase == PAUSED and m.waits_for != GATE
    said: Facts = {"judged_step": m.judged_step, "end_step": m.end_step, "asks": asks}
    return {**{name: getattr(m, name) for name in names}, **said}


def policy(m: Any) -> Facts:
    named: Facts = {"version": m.active_version, "waiting": m.waiting_version, "provider": m.provider}
    refused: Facts = {"refused": m.refused_version, "refused_reason": m.refused_reason}
    return {**named, **refused, "inference_ms": round(m.inference_p50_s * 1e3, 2)}


def learner(m: Any) -> Facts:
    names = ("state", "newest_episode", "waiting_episodes", "updates_done", "restarts_left", "reason")
    return {name: getattr(m, name) for name in names}


def reward(m: Any) -> Facts:
    known = m.verdict in iter(Verdict)
    said = Verdict(m.verdict) if known else Verdict.UNKNOWN
    probability = m.probability if said is not Verdict.UNKNOWN else None
    named: Facts = {"episode_id": m.episode_id, "step": m.step, "verdict": said.name.lower()}
    return {**named, "probability": probability, "latency_ms": round(m.latency_s * 1e3, 2)}


def decision(m: Any) -> Facts:
    named: Facts = {"step": m.step, "source": m.source, "limited_by": list(m.limited_by), "refused": m.refused}
    return {**named, "allowed": [round(float(x), 5) for x in m.allowed], "policy_version": m.policy_version}


def joints(m: Any) -> Facts:
    return {"names": list(m.name), "positions": [round(float(x), 4) for x in m.position]}


def step(m: Any) -> Facts:
    return {"episode_id": m.episode_id, "step": m.step, "tool": [round(float(x), 4) for x in m.state]}


def offer(m: Any) -> Facts:
    return {"version": m.policy_version}


WIRES: dict[str, tuple[str, str, str, Callable[[Any], Facts]]] = {
    "gate": (topics.GATE_STATE, "GateState", "latched", gate),
    "episode": (topics.EPISODE_STATE, "EpisodeState", "latched", episode),
    "policy": (topics.POLICY_STATE, "PolicyState", "latched", policy),
    "learner": (topics.LEARNER_STATE, "LearnerState", "latched", learner),
    "offer": (topics.POLICY_OFFER, "PolicyOffer", "latched", offer),
    "reward": (topics.REWARD_ANSWER, "RewardAnswer", "event", reward),
    "decision": (topics.DECISION, "Decision", "event", decision),
    "step": (topics.STEP, "Step", "event", step),
    "joints": (topics.JOINT_STATES, "JointState", "camera", joints),
    "tick": (topics.STEP_TICK, "StepTick", "event", lambda m: {"step": m.step}),
}
"""Kind on the board: topic, message, quality of service, and how it is read."""


def blinded(said: Facts) -> Facts:
    """Return what a page may show: not which policy acts while some are evaluated, for its reader may judge them."""
    if said.get("episode", {}).get("purpose") != EVALUATION:
        return said
    hidden = {"policy": ("version",), "decision": ("policy_version",)}
    masked = {kind: {**said[kind], **dict.fromkeys(names, HIDDEN)} for kind, names in hidden.items() if kind in said}
    nodes = {
        name: {**facts, "values": {**facts["values"], "policy": HIDDEN}} if "policy" in facts["values"] else facts
        for name, facts in said.get("nodes", {}).items()
    }
    return {**said, **masked, "nodes": nodes, "policy_age_s": 0}


def diagnostics(status: Any) -> tuple[str, Facts]:
    """Return a node's name and what it reports of itself."""
    name = status.name.partition(":")[0]
    level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
    return name, {"level": level, "says": status.message, "values": {v.key: v.value for v in status.values}}


def up(summary: Any) -> Facts:
    """Return the phase of every node, from the supervisor's summary."""
    return {status.name: status.message for status in summary.status}
