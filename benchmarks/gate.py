"""How even the gate's 100 Hz tick is, and how soon a proposal becomes a setpoint; alone and beside a busy core.

``gate_node`` and ``sim_node`` run as processes in real time (with a picture a second: cameras are no
part of this); a third process answers each step and listens. *Jitter* is by how much the time between
two setpoints differs from 10 ms, by the gate's own stamps on the steady clock; the setpoint that
answers a proposal at once is no tick and left out. *Latency* is from the moment before a proposal is
published to the moment the setpoint that answers it is heard, in that process.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from armtune_bringup.compose import compose
from armtune_bringup.settings import Config
from armtune_policies.contract import topics
from armtune_policies.contract.paths import config_root
from armtune_safety.settings import GateParams
from armtune_sim.settings import SimNodeParams
from benchmarks._stack import ROOT, Stack, arm_gate, percentiles

TICK_MS = 10.0
START_S = 5.0
"""At first a graph starts: that is left out, or as much again as is measured where that is shorter."""
ARMED_S = 5.0
SMALL = {"camera_width_px": 32, "camera_height_px": 24, "camera_rate_hz": 1.0}
BURN = "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\nwhile True: pass"


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench gate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each of the two is measured")
    chosen = parser.parse_args(argv)
    config = compose([])
    found: dict[str, Any] = {"bench": "gate", "seconds": chosen.seconds, "cores": os.cpu_count()}
    found["load_1m"] = round(os.getloadavg()[0], 2)
    found |= measure(config, chosen.seconds, "alone")
    with burner():
        beside = measure(config, chosen.seconds, "with a CPU burner")
    found |= {f"{name}_burner": value for name, value in beside.items()}
    _print(found)
    return found


@contextmanager
def burner() -> Iterator[None]:
    """Keep the last core busy."""
    process = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        yield
    finally:
        process.kill()
        process.wait(timeout=10)


def measure(
    config: Config,
    seconds: float,
    what: str,
    camera: Mapping[str, Any] = SMALL,
    beside: Callable[[Stack], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, Any]:
    """Run the graph for a while, ``beside`` something else, and return its numbers."""
    common = {"robot": config.robot, "mjcf": str(config_root().resolve() / "robot" / config.robot.mjcf), "time": "real"}
    gate = GateParams(safety=config.safety, **common)
    sim = SimNodeParams(task=config.task, sim=config.sim, **common, **camera)
    with tempfile.TemporaryDirectory() as scratch, Stack(Path(scratch)) as stack:
        stack.bring_up("armtune_safety.gate_node", "gate_node", gate)
        stack.bring_up("armtune_sim.sim_node", "sim_node", sim)
        env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain), "ROS_LOG_DIR": str(stack.folder / "ros")}
        command = [sys.executable, "-m", "benchmarks._wire", "proposer", str(lasts_s(seconds))]
        with beside(stack):
            client = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
            proposals = topics.proposal("policy")
            stack.until(lambda: stack.node.count_publishers(proposals) > 0, what="the proposer started")
            arm_gate(stack)  # last: what starts beside an armed arm may stop it by starving it
            heard = _wait(client, lasts_s(seconds), what)
    start_s = min(START_S, seconds)
    return {**jitter(heard, start_s), **latency(heard), **periods(heard, start_s)}


def lasts_s(seconds: float) -> float:
    """How long is listened for so many seconds of measuring: until it is armed and has started, too."""
    return seconds + min(START_S, seconds) + ARMED_S


def _wait(client: subprocess.Popen[str], seconds: float, what: str) -> dict[str, list[Any]]:
    """What the client heard, behind a progress bar."""
    with Progress(transient=True) as bar:
        task, start_s = bar.add_task(what, total=seconds), time.monotonic()
        while (passed_s := time.monotonic() - start_s) < seconds + 30.0:
            bar.update(task, completed=min(passed_s, seconds))
            try:
                out, _ = client.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
            return dict(json.loads(out.splitlines()[-1]))
    client.kill()
    raise RuntimeError(f"{what}: the client did not end {seconds + 30.0:.0f} s after its start")


def _answers(heard: dict[str, list[Any]]) -> list[tuple[int, int]]:
    """Index of each decided proposal's setpoint, and when the proposal was sent [ns].

    It lies between two ticks: the setpoints before and after it are one tick apart.
    """
    stamps, decided, found = [stamp for _, stamp in heard["setpoints"]], set(heard["decisions"]), []
    for sent_ns, step in heard["proposals"]:
        first = bisect.bisect_left(stamps, sent_ns)
        for i in range(max(first, 1), min(first + 3, len(stamps) - 1)):
            if step in decided and stamps[i + 1] - stamps[i - 1] < 1.5e6 * TICK_MS:
                found.append((i, sent_ns))
                break
    return found


def jitter(heard: dict[str, list[Any]], start_s: float = START_S) -> dict[str, Any]:
    """Deviations of the tick [ms]; the first seconds, in which the graph starts, are left out."""
    answers = {i for i, _ in _answers(heard)}
    stamps = np.array([stamp for i, (_, stamp) in enumerate(heard["setpoints"]) if i not in answers])
    stamps = stamps[stamps > stamps[0] + start_s * 1e9]
    off_ms = np.abs(np.diff(stamps) / 1e6 - TICK_MS)
    return {**percentiles("jitter_", off_ms), "jitter_max_ms": round(float(off_ms.max()), 3), "ticks": len(off_ms)}


def latency(heard: dict[str, list[Any]]) -> dict[str, Any]:
    """From proposal to setpoint [ms]."""
    answers, sent = _answers(heard), len(heard["proposals"])
    if not answers or len(answers) < 0.5 * sent:
        why = f"; the gate refused: {'; '.join(heard['refusals'])}" if heard["refusals"] else ""
        raise RuntimeError(f"expected most proposals to be carried out, got {len(answers)} of {sent}{why}")
    took_ms = [(heard["setpoints"][i][0] - sent_ns) / 1e6 for i, sent_ns in answers]
    return {**percentiles("latency_", took_ms), "latency_max_ms": round(max(took_ms), 3), "proposals": len(took_ms)}


def periods(heard: dict[str, list[Any]], start_s: float = START_S) -> dict[str, Any]:
    """How long a control step takes [ms], by the stamps of the gate's step clock; the first seconds are left out."""
    steps = heard["steps"]
    took_ms = [
        (after_ns - before_ns) / 1e6
        for (before_ns, first), (after_ns, second) in pairwise(steps)
        if second == first + 1 and before_ns > steps[0][0] + start_s * 1e9
    ]
    return {**percentiles("step_", took_ms), "step_max_ms": round(max(took_ms), 3), "steps": len(took_ms)}


def _print(found: dict[str, Any]) -> None:
    print(f"{'ms':<34}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>8}{'n':>8}")
    for what, count in (("jitter", "ticks"), ("latency", "proposals")):
        for beside, suffix in (("alone", ""), ("with a CPU burner", "_burner")):
            numbers = [found[f"{what}_{mark}_ms{suffix}"] for mark in ("p50", "p99", "p999", "max")]
            name = {"jitter": "tick jitter", "latency": "proposal to setpoint"}[what]
            print(f"{f'{name}, {beside}':<34}" + "".join(f"{n:>8.2f}" for n in numbers) + f"{found[count + suffix]:>8}")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
