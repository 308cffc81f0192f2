"""F32: whatever steps back for control takes all the processor there is; the gate's ticks keep their time.

The simulated arm shares the processors, too, as no real arm does: it may be late, and is then stopped for it (F05).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from casebook import Case
from rig import FaultStack
from trajectory_msgs.msg import JointTrajectory

from armtune_policies.contract import SteadyClock, topics
from armtune_runtime.learner_process import LearnerProcess, job_of, spawn
from armtune_runtime.settings import LearnerNodeParams, PolicyParams
from armtune_safety.managed_node import EVENT_QOS, to_ns
from fixtures.untrained import untrained_policy, write_episode

JITTER_MS, TICK_MS, SILENCE_MS, LOOK_S, START_S = 10.0, 10.0, 100.0, 5.0, 60.0
CORES = os.cpu_count() or 1

pytestmark = [pytest.mark.slow, pytest.mark.fault("F32")]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made before the arm moves: exporting takes a core, and steps back for nobody."""
    return untrained_policy(tmp_path_factory.mktemp("models") / "policy")


def test_ticks_keep_their_time_while_learning_takes_every_core(graph: FaultStack, case: Case) -> None:
    nice = graph.config.learner.nice
    case.by(f"a process that computes without end on every core, as nice as the learner ({nice})")
    with burners(nice):
        ticks_keep_their_time(graph, case)


def test_ticks_keep_their_time_while_a_learner_refits_on_every_core(
    policy: Path, graph: FaultStack, case: Case, tmp_path: Path
) -> None:
    case.by("a real learner that refits without end on every core")
    with refitting(graph, policy, tmp_path) as learners:
        before = [updates(one) for one in learners]
        ticks_keep_their_time(graph, case)
        made = [updates(one) - then for one, then in zip(learners, before)]
        assert min(made) > 0, f"a learner stood still: {made} updates"


def ticks_keep_their_time(graph: FaultStack, case: Case) -> None:
    """Hear the setpoints for a while."""
    gate = graph.gate.last.boot_id
    paths = graph.ear(topics.SETPOINT, JointTrajectory, EVENT_QOS)
    since_ns = time.monotonic_ns()
    graph.wait(lambda: time.monotonic_ns() - since_ns > LOOK_S * 1e9, "a while", LOOK_S + 5.0)
    stamps_ns = np.array([to_ns(m.header.stamp) for _, m in paths.since(since_ns)])
    apart_ns = np.diff(stamps_ns)
    assert len(apart_ns) > 0.5 * LOOK_S * 1e3 / TICK_MS, "setpoints were heard"
    jitter_ns = int(np.quantile(np.abs(apart_ns - TICK_MS * 1e6), 0.99))
    case.within("jitter of the tick, p99", jitter_ns, JITTER_MS, slack_ms=5 * JITTER_MS)
    case.within("longest silence to the controller", int(apart_ns.max()), SILENCE_MS)
    case.nothing("the gate is restarted", graph.gate.last.boot_id != gate)


@contextmanager
def burners(nice: int) -> Iterator[None]:
    """What computes without end, one on each core."""
    burn = f"import os; os.nice({nice})\nwhile True: pass"
    running = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(CORES)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait(timeout=5.0)


@contextmanager
def refitting(graph: FaultStack, policy: Path, folder: Path) -> Iterator[list[LearnerProcess]]:
    """Learners as ``learner_node`` starts them, one on each core, all in the middle of a refit that does not end."""
    seen = PolicyParams(folder=str(policy), height_px=32, width_px=32)
    with ExitStack() as running:
        learners = []
        for number in range(CORES):
            run = folder / str(number)
            write_episode(run, "run-00000")
            endless = replace(graph.config.learner, updates=1_000_000)
            job = job_of(LearnerNodeParams(learner=endless, policy=seen, run_folder=str(run)))
            one = LearnerProcess(partial(spawn, job), SteadyClock(), restarts=0, hang_s=START_S, refit_every=1)
            running.callback(one.close)
            one.finished("run-00000")
            learners.append(one)
        graph.wait(lambda: min([updates(one) for one in learners]) > 0, "every learner in a refit", START_S)
        yield learners


def updates(learner: LearnerProcess) -> int:
    """How many it says it has made of the refit that it is at."""
    learner.poll()
    assert learner.state not in ("ended", "given up"), learner.trouble
    return int(learner.last.get("update", 0))
