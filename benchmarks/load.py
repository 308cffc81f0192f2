"""Whether learning disturbs the arm: the gate's tick without a learner, and beside one that learns without pause.

The graph of ``armtune bench gate``, twice: alone, and with ``learner_node`` and its process, niceness and all. An agent
is trained for a moment on episodes of random steps; then it is told of as many of practice, each step of which owes a
hundred updates, so that it owes more than it can pay while the arm is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from armtune_bringup.agents import pretrain_agent, read_overrides
from armtune_bringup.compose import compose
from armtune_interfaces.msg import EpisodeState
from armtune_policies.contract import topics
from armtune_runtime.settings import ONLINE, LearnerNodeParams
from armtune_safety.managed_node import LATCHED_QOS
from benchmarks._stack import Stack, diagnostics, make_policy
from benchmarks._words import read_words
from benchmarks.gate import measure
from fixtures.untrained import write_episode

OURS = {"seconds": 120.0, "episodes": 40}
UPDATES = 50
READY_S = 120.0
KEPT = ("jitter_p50_ms", "jitter_p99_ms", "jitter_p999_ms", "jitter_max_ms", "latency_p50_ms", "latency_p99_ms",
        "step_p50_ms", "step_p99_ms", "step_max_ms")  # fmt: skip


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench load", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="seconds=120 episodes=40", help="each way; to learn from; "
                        "other words are of the learner, as task=bin_sort agent.critics=2")  # fmt: skip
    told, rest = read_words("load", parser.parse_args(argv).words, OURS)
    found: dict[str, Any] = {"bench": "load", **told, "cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as scratch:
        params = _prepare(Path(scratch), told["episodes"], rest)
        config = compose([])
        alone = measure(config, told["seconds"], "learner off")
        seen: dict[str, Any] = {}
        beside = measure(config, told["seconds"], "learner at full load", beside=lambda s: _learning(s, params, seen))
    for name in KEPT:
        found |= {f"{name}_off": alone[name], f"{name}_learning": beside[name]}
    found |= seen
    _print(found)
    return found


def _prepare(home: Path, episodes: int, overrides: Sequence[str]) -> LearnerNodeParams:
    """Make an agent, trained for a moment on episodes of random steps, and as many of practice to go on from."""
    policy = home / "policy"
    learning = read_overrides(["agent=calql", f"offline.updates={UPDATES}", *overrides, f"policy.folder={policy}"])
    config = learning.config
    action, seen, task = config.policy.action, config.policy.observation, config.task
    size: dict[str, Any] = {"steps": task.episode_steps, "action": action, "seen": seen, "sentence": task.forward}
    for run in ("shown", "run"):
        for number in range(episodes):
            write_episode(home / run, f"{run}-{number:05d}", **size)
    pretrain_agent(learning, home / "shown", None, make_policy(home / "encoder", config))
    learner = replace(config.learner, recipe=ONLINE, utd=100)
    return LearnerNodeParams(
        learner=learner, policy=config.policy, run_folder=str(home / "run"), demos_folder=str(home / "shown")
    )


@contextmanager
def _learning(stack: Stack, params: LearnerNodeParams, seen: dict[str, Any]) -> Iterator[None]:
    """Have the learner learn, and note how much it did."""
    heard = stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    stack.bring_up("armtune_runtime.learner_node", "learner_node", params)
    episodes = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
    last = max(path.stem for path in Path(params.run_folder, "episodes").glob("*.mcap"))
    episodes.publish(EpisodeState(run_id="run", episode_id=last, phase=EpisodeState.ACTING, outcome="success"))
    stack.until(lambda: _updates(heard) > 0, READY_S, f"the learner began\n{stack.log('learner_node')[-2000:]}")
    first, began_s = _updates(heard), time.monotonic()
    yield
    made, took_s = _updates(heard) - first, time.monotonic() - began_s
    if made <= 0 or not diagnostics(heard, "learner_node").get("last_of"):
        raise RuntimeError(f"expected a learner that never paused, got {made} updates; tell it of more: episodes=")
    seen |= {"updates": made, "updates_per_s": round(made / took_s, 1)}


def _updates(heard: Sequence[DiagnosticArray]) -> int:
    return int(diagnostics(heard, "learner_node").get("last_update", 0))


def _print(found: dict[str, Any]) -> None:
    print(f"{'ms':<24}{'learner off':>14}{'at full load':>14}")
    for name in KEPT:
        print(f"{name.removesuffix('_ms'):<24}{found[f'{name}_off']:>14.2f}{found[f'{name}_learning']:>14.2f}")
    print(f"the learner made {found['updates']} updates, {found['updates_per_s']:.0f} a second")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
