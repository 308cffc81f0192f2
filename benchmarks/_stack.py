"""What the benchmarks of the node graph share: a model, nodes, an episode to act, statistics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from armtune_bringup.settings import Config  # noqa: E402
from armtune_interfaces.msg import EpisodeState, GateState, Heartbeat  # noqa: E402
from armtune_interfaces.srv import Arm  # noqa: E402
from armtune_policies.contract import topics  # noqa: E402
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS  # noqa: E402
from harness import Stack  # noqa: E402

__all__ = ["ROOT", "Stack", "arm_gate", "diagnostics", "make_policy", "percentiles", "publish_episode"]


def make_policy(folder: Path, config: Config) -> Path:
    """Write a policy of the real networks' shape, untrained, as fast, hardly moving the arm."""
    from armtune_policies.learn.export import About, export_policy
    from armtune_policies.learn.networks import Encoder, Head, seed_everything

    seed_everything(0)
    params = config.policy
    encoder = Encoder(params.observation).eval()
    sentences = dict(zip((config.task.forward, config.task.backward), np.eye(2, 384, dtype=np.float32)))
    head = Head(params.action, encoder.feature_size).eval()
    head.out.weight.data.mul_(0.01)
    head.out.bias.data.zero_()
    about = About("bench", params.action, params.observation, sentences)
    export_policy(folder, encoder, head, about)
    return folder


def arm_gate(stack: Stack) -> None:
    """Arm the gate as an operator does, once it has seen joint states; what a supervisor says comes from here."""
    beats = stack.publisher(topics.HEARTBEAT, Heartbeat, EVENT_QOS)
    stack.node.create_timer(0.25, lambda: beats.publish(Heartbeat(node="supervisor_node")))
    stack.publisher(topics.HEALTH, DiagnosticArray, LATCHED_QOS).publish(DiagnosticArray())
    answers: list[str] = []

    def armed() -> bool:
        state = stack.wait_for(topics.GATE_STATE, GateState, qos=LATCHED_QOS)
        answer = stack.call(Arm, topics.ARM, Arm.Request(boot_id=state.boot_id))
        answers.append(answer.reason)
        return bool(answer.accepted)

    try:
        stack.until(armed, what="the gate armed")
    except AssertionError as why:
        raise RuntimeError(f"{why}; it says: {answers[-1:] or 'nothing'}") from None


def publish_episode(stack: Stack, config: Config, episode_id: str) -> None:
    """Say that an episode is acted whose steps need not wait for a reward."""
    states = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS, peers=2)
    state = EpisodeState(run_id="bench", episode_id=episode_id, phase=EpisodeState.ACTING, judged_step=2**40)
    state.sentence, state.direction, state.end_step = config.task.forward, "forward", -1
    states.publish(state)


def diagnostics(heard: Sequence[Any], node: str) -> dict[str, float]:
    """Return the last numbers a node reported."""
    for array in reversed(heard):
        for status in array.status:
            if status.name.startswith(node):
                return {v.key: float(v.value) for v in status.values if _is_number(v.value)}
    return {}


def percentiles(name: str, values_ms: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and p999 [ms] under names that begin with ``name``."""
    if not len(values_ms):
        raise RuntimeError(f"{name}: nothing was measured")
    marks = {"p50": 50, "p99": 99, "p999": 99.9}
    return {f"{name}{mark}_ms": round(float(np.percentile(values_ms, q)), 3) for mark, q in marks.items()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
