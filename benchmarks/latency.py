"""From the stamp of the picture a policy used to the first setpoint derived from it.

Real processes on real DDS: a 640x480 camera, an arm, ``gate_node`` and ``policy_node``;
beside them, in the same run, raw ONNX Runtime and a naive rclpy node. The setpoint counts
when the arm has it: the first one the gate stamped after the proposal was sent. (One of
the gate's own ten-millisecond setpoints may slip in between and is then taken for it, at
most the fraction of a millisecond the proposal was under way too early.)
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
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from armtune_bringup.compose import compose
from armtune_bringup.settings import Config
from armtune_policies.contract import topics
from armtune_policies.contract.paths import config_root
from armtune_policies.runtime.ort_session import OrtSession
from armtune_runtime.settings import PolicyNodeParams
from armtune_safety.settings import GateParams
from benchmarks._stack import ROOT, Stack, arm_gate, diagnostics, make_policy, percentiles, publish_episode

START_S = 20.0
"""Until gate and policy work, and a step is acted."""


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench latency", description=__doc__)
    parser.add_argument("--policy", type=Path, help="policy folder; without, untrained networks of the same shape")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each of the two graphs is measured")
    parser.add_argument("--rate-hz", type=float, default=10.0, help="control steps per second")
    chosen = parser.parse_args(argv)
    config = compose([f"policy.rate_hz={chosen.rate_hz}"])
    with tempfile.TemporaryDirectory() as scratch:
        policy = chosen.policy or make_policy(Path(scratch) / "policy", config)
        found = {"bench": "latency", "rate_hz": chosen.rate_hz, **raw(policy)}
        found |= naive(policy, min(chosen.seconds, 20.0), Path(scratch))
        found |= ours(config, policy, chosen.seconds, Path(scratch))
    found["p50_over_inference_ms"] = round(found["p50_ms"] - found["inference_p50_ms"], 3)
    found["p99_over_inference_ms"] = round(found["p99_ms"] - found["inference_p50_ms"], 3)
    _print(found)
    return found


def raw(policy: Path, runs: int = 500) -> dict[str, float]:
    """Encoder and head in ONNX Runtime, nothing around them."""
    encoder, head = (OrtSession((policy / f"{part}.onnx").read_bytes()) for part in ("encoder", "head"))
    sizes = {p.name: [1, *p.shape[1:]] for p in (*encoder.inputs, *head.inputs)}
    images = {p.name: np.random.default_rng(0).integers(0, 256, sizes[p.name], dtype=np.uint8) for p in encoder.inputs}
    other = {name: np.zeros(sizes[name], np.float32) for name in ("state", "sentence")}
    took_ms = []
    for _ in range(runs):
        start_ns = time.perf_counter_ns()
        head.run({**encoder.run(images), **other})
        took_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    return percentiles("inference_", took_ms[runs // 10 :])


def naive(policy: Path, seconds: float, scratch: Path) -> dict[str, float]:
    """The tutorial's node between the same camera and the same arm."""
    with Stack(_folder(scratch, "naive")) as stack:
        models = [str(policy / "encoder.onnx"), str(policy / "head.onnx")]
        node, camera = (_wire(stack, role, seconds + 5.0, *more) for role, more in (("naive", models), ("camera", [])))
        heard = _heard(_wire(stack, "arm", seconds), seconds)
        for process in (node, camera):
            process.kill()
            process.wait(timeout=10)
    latency_ms = [(received - stamp) / 1e6 for received, stamp in heard["naive"]]
    return percentiles("naive_", latency_ms[len(latency_ms) // 10 :])


def ours(config: Config, policy: Path, seconds: float, scratch: Path) -> dict[str, float]:
    """``gate_node`` and ``policy_node`` between the same camera and the same arm."""
    mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
    gate = GateParams(robot=config.robot, safety=config.safety, rate_hz=config.policy.rate_hz, mjcf=mjcf)
    told = {**vars(config.policy), "folder": str(policy)}
    about = {"robot": config.robot, "task": config.task, "run_folder": str(scratch / "run"), "mjcf": mjcf}
    node = PolicyNodeParams(policy=told, **about)
    with Stack(_folder(scratch, "ours")) as stack:
        reports = stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
        camera = _wire(stack, "camera", seconds + 60.0)
        arm = _wire(stack, "arm", seconds + START_S)
        stack.bring_up("armtune_safety.gate_node", "gate_node", gate)
        stack.bring_up("armtune_runtime.policy_node", "policy_node", node)
        arm_gate(stack)
        publish_episode(stack, config, "bench-00000")
        heard = _heard(arm, seconds + START_S)
        camera.kill()
        camera.wait(timeout=10)
    said, found = diagnostics(reports, "policy_node"), _derived(heard)
    found |= {"prepare_p50_ms": said["prepare_p50_ms"], "inference_in_node_p50_ms": said["inference_p50_ms"]}
    age_ms = found["frame_to_proposal_p50_ms"] - said["prepare_p50_ms"] - said["inference_p50_ms"]
    return {**found, "frame_age_at_trigger_p50_ms": round(age_ms, 3)}


def _derived(heard: dict[str, list[Any]]) -> dict[str, float]:
    """Join proposals with the first setpoint stamped after them; drop the first tenth."""
    stamps = [stamp for _, stamp in heard["setpoints"]]
    latency_ms, frame_to_proposal_ms, gate_ms = [], [], []
    for sent, seen, _ in heard["proposals"][len(heard["proposals"]) // 10 :]:
        at = bisect.bisect_left(stamps, sent)
        if at < len(stamps):
            received = heard["setpoints"][at][0]
            latency_ms.append((received - seen) / 1e6)
            frame_to_proposal_ms.append((sent - seen) / 1e6)
            gate_ms.append((received - sent) / 1e6)
    return {
        **percentiles("", latency_ms),
        "steps": len(latency_ms),
        "frame_to_proposal_p50_ms": percentiles("", frame_to_proposal_ms)["p50_ms"],
        "proposal_to_setpoint_p50_ms": percentiles("", gate_ms)["p50_ms"],
    }


def _folder(scratch: Path, name: str) -> Path:
    (scratch / name).mkdir()
    return scratch / name


def _wire(stack: Stack, role: str, seconds: float, *more: str) -> subprocess.Popen[str]:
    """Start one of the other ends of the wire on the stack's domain."""
    env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain), "ROS_LOG_DIR": str(stack.folder / "ros")}
    command = [sys.executable, "-m", "benchmarks._wire", role, str(seconds), *more]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def _heard(arm: subprocess.Popen[str], seconds: float) -> dict[str, list[Any]]:
    out, _ = arm.communicate(timeout=seconds + 30)
    return dict(json.loads(out.splitlines()[-1]))


def _print(found: dict[str, Any]) -> None:
    rows = [
        ("picture -> setpoint", found["p50_ms"], found["p99_ms"], found["p999_ms"]),
        ("raw ONNX Runtime", found["inference_p50_ms"], found["inference_p99_ms"], found["inference_p999_ms"]),
        ("naive rclpy node", found["naive_p50_ms"], found["naive_p99_ms"], found["naive_p999_ms"]),
    ]
    print(f"{'640x480':<22}{'p50 ms':>9}{'p99 ms':>9}{'p999 ms':>9}")
    for name, *numbers in rows:
        print(f"{name:<22}" + "".join(f"{number:>9.2f}" for number in numbers))
    print(f"{'frame age at trigger':<22}{found['frame_age_at_trigger_p50_ms']:>9.2f}")
    for name in ("prepare", "inference_in_node", "proposal_to_setpoint"):
        print(f"{name.replace('_', ' '):<22}{found[f'{name}_p50_ms']:>9.2f}")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
