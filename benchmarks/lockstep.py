"""Milliseconds per control step of the lockstep graph (medians), and where they go.

``sim_node``, ``gate_node`` and ``policy_node`` run as processes; an episode is acted whose
steps wait for no reward. The policy's share is what ``policy_node`` reports of itself;
simulation, rendering and the gate's share are timed alone in this process, on the same
machine; the rest is DDS and the nodes' plumbing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from armtune_bringup.compose import compose
from armtune_bringup.settings import Config
from armtune_interfaces.msg import Decision
from armtune_policies.contract import topics
from armtune_policies.contract.paths import config_root
from armtune_runtime.settings import PolicyNodeParams
from armtune_safety.gate import Gate
from armtune_safety.managed_node import EVENT_QOS
from armtune_safety.settings import GateParams
from armtune_sim.gated import GatedWorld
from armtune_sim.settings import SimNodeParams
from benchmarks._stack import Stack, arm_gate, diagnostics, make_policy, publish_episode


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench lockstep", description=__doc__)
    parser.add_argument("--policy", type=Path, help="policy folder; without, untrained networks of the same shape")
    parser.add_argument("--steps", type=int, default=300, help="control steps to time")
    chosen = parser.parse_args(argv)
    config = compose(["experiment.time=lockstep"])
    with tempfile.TemporaryDirectory() as scratch:
        policy = chosen.policy or make_policy(Path(scratch) / "policy", config)
        (Path(scratch) / "stack").mkdir()
        graph = _graph(config, policy, chosen.steps, Path(scratch) / "stack")
    parts = {**alone(config), "policy_ms": graph["policy_ms"]}
    other_ms = graph["step_p50_ms"] - sum(parts.values())
    found = {"bench": "lockstep", "steps": chosen.steps, **graph, **parts, "dds_ms": round(other_ms, 3)}
    print(f"{'ms per control step':<22}{found['step_p50_ms']:>8.2f}   (p99 {found['step_p99_ms']:.2f})")
    for name in ("sim", "render", "policy", "gate", "dds"):
        print(f"  {name:<20}{found[f'{name}_ms']:>8.2f}")
    print(f"{'times real time':<22}{found['times_real_time']:>8.1f}")
    return found


def _graph(config: Config, policy: Path, steps: int, folder: Path) -> dict[str, float]:
    """Time the steps of one long episode by the decisions the gate publishes."""
    mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
    common = {"robot": config.robot, "mjcf": mjcf, "time": "lockstep"}
    gate = GateParams(safety=config.safety, rate_hz=config.policy.rate_hz, **common)
    told = {**vars(config.policy), "folder": str(policy)}
    node = PolicyNodeParams(policy=told, task=config.task, run_folder=str(folder / "run"), **common)
    sim = SimNodeParams(task=config.task, sim=config.sim, **common)
    times_s: list[float] = []
    with Stack(folder) as stack:
        reports = stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
        stack.node.create_subscription(
            Decision, topics.DECISION, lambda _: times_s.append(time.perf_counter()), EVENT_QOS
        )
        stack.bring_up("armtune_sim.sim_node", "sim_node", sim)
        stack.bring_up("armtune_safety.gate_node", "gate_node", gate)
        stack.bring_up("armtune_runtime.policy_node", "policy_node", node)
        arm_gate(stack)
        publish_episode(stack, config, "bench-00000")
        stack.until(lambda: len(times_s) > steps, timeout_s=60 + steps, what=f"{steps} control steps")
        said = diagnostics(reports, "policy_node")
    took_ms = 1e3 * np.diff(times_s)
    step_ms = float(np.mean(took_ms))
    return {
        "step_ms": round(step_ms, 3),
        "step_p50_ms": round(float(np.percentile(took_ms, 50)), 3),
        "step_p99_ms": round(float(np.percentile(took_ms, 99)), 3),
        "policy_ms": round(said["prepare_p50_ms"] + said["inference_p50_ms"], 3),
        "times_real_time": round(1e3 / config.policy.rate_hz / step_ms, 2),
    }


def alone(config: Config, steps: int = 60) -> dict[str, float]:
    """Median milliseconds per control step of simulation, rendering and the gate, in this process."""
    took_s = {"sim": 0.0, "render": 0.0, "gate": 0.0}
    rows: list[dict[str, float]] = []
    world = GatedWorld(config.task.name, config.sim)
    world.reset(0, "forward")
    world.begin("bench-00000")
    before = Gate.judge, Gate.setpoint, type(world.world).tick
    Gate.judge, Gate.setpoint = _timed(before[0], took_s, "gate"), _timed(before[1], took_s, "gate")
    type(world.world).tick = _timed(before[2], took_s, "sim")
    still = np.array([0.0] * 6 + [0.5])
    try:
        for _ in range(steps):
            took_s.update(dict.fromkeys(took_s, 0.0))
            world.step(still)
            start_s = time.perf_counter()
            for camera in config.policy.cameras:
                world.world.render(camera, config.camera.height_px, config.camera.width_px)
            took_s["render"] = time.perf_counter() - start_s
            rows.append(dict(took_s))
    finally:
        Gate.judge, Gate.setpoint, type(world.world).tick = before
        world.world.close()
    return {f"{name}_ms": round(1e3 * float(np.median([row[name] for row in rows])), 3) for name in took_s}


def _timed(work: Callable[..., Any], took: dict[str, float], name: str) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start_s = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            took[name] += time.perf_counter() - start_s

    return timed


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
