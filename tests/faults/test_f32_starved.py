"""F32: whatever steps back for control takes all the processor there is; the gate's ticks keep their time.

The simulated arm shares the processors, too, as no real arm does: it may be late, and is then stopped for it (F05).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from casebook import Case
from rig import FaultStack
from trajectory_msgs.msg import JointTrajectory

from armtune_policies.contract import topics
from armtune_safety.managed_node import EVENT_QOS, to_ns

JITTER_MS, TICK_MS, SILENCE_MS, LOOK_S = 10.0, 10.0, 100.0, 5.0

pytestmark = [pytest.mark.slow, pytest.mark.fault("F32")]


def test_ticks_keep_their_time_while_learning_takes_every_core(graph: FaultStack, case: Case) -> None:
    nice, gate = graph.config.learner.nice, graph.gate.last.boot_id
    case.by(f"a process that computes without end on every core, as nice as the learner ({nice})")
    paths = graph.ear(topics.SETPOINT, JointTrajectory, EVENT_QOS)
    burn = f"import os; os.nice({nice})\nwhile True: pass"
    burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(os.cpu_count() or 1)]
    try:
        since_ns = time.monotonic_ns()
        graph.wait(lambda: time.monotonic_ns() - since_ns > LOOK_S * 1e9, "a while", LOOK_S + 5.0)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait(timeout=5.0)
    stamps_ns = np.array([to_ns(m.header.stamp) for _, m in paths.since(since_ns)])
    apart_ns = np.diff(stamps_ns)
    assert len(apart_ns) > 0.5 * LOOK_S * 1e3 / TICK_MS, "setpoints were heard"
    jitter_ns = int(np.quantile(np.abs(apart_ns - TICK_MS * 1e6), 0.99))
    case.within("jitter of the tick, p99", jitter_ns, JITTER_MS, slack_ms=5 * JITTER_MS)
    case.within("longest silence to the controller", int(apart_ns.max()), SILENCE_MS)
    case.nothing("the gate is restarted", graph.gate.last.boot_id != gate)
