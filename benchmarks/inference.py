"""How long one inference takes: raw ONNX Runtime on one thread, encoder, head and reward.

Shipped or trained models are measured when their folders are given; else networks of the
same shape with random weights, which take the same time.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.session import OpenSession, Session
from armtune_policies.runtime.worker_session import WorkerSession
from armtune_policies.store.manifest import load_model
from benchmarks.reward import untrained

SESSIONS: Mapping[str, OpenSession] = {"in_process": OrtSession, "worker": WorkerSession}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and a JSON line, and return what the line says."""
    parser = argparse.ArgumentParser(prog="armtune bench inference", description=__doc__)
    parser.add_argument("--policy", type=Path, help="policy folder; random weights without")
    parser.add_argument("--reward", type=Path, help="reward folder; random weights without")
    parser.add_argument("--runs", type=int, default=1000, help="inferences per graph")
    parser.add_argument("--session", choices=sorted(SESSIONS), default="in_process")
    chosen = parser.parse_args(argv)
    graphs = _graphs(chosen.policy, chosen.reward)
    found: dict[str, Any] = {"bench": "inference", "session": chosen.session, "machine": platform.machine()}
    print(f"{'graph':<10}{'p50 ms':>9}{'p99 ms':>9}{'kB':>8}  provider")
    for name, graph in graphs.items():
        session = SESSIONS[chosen.session](graph)
        took_ms = _measure(session, chosen.runs)
        p50, p99 = (float(np.percentile(took_ms, q)) for q in (50, 99))
        print(f"{name:<10}{p50:>9.3f}{p99:>9.3f}{len(graph) / 1000:>8.0f}  {session.provider}")
        found |= {f"{name}_p50_ms": round(p50, 4), f"{name}_p99_ms": round(p99, 4), "provider": session.provider}
        session.close()
    found["inference_p50_ms"] = round(found["encoder_p50_ms"] + found["head_p50_ms"], 4)
    found["inference_p99_ms"] = round(found["encoder_p99_ms"] + found["head_p99_ms"], 4)
    return found


def _measure(session: Session, runs: int) -> np.ndarray:
    """Return the time of each run [ms], shape (runs,), after a warm-up."""
    feeds = _feeds(session)
    for _ in range(20):
        session.run(feeds)
    took = np.empty(runs)
    for i in range(runs):
        start_ns = time.perf_counter_ns()
        session.run(feeds)
        took[i] = (time.perf_counter_ns() - start_ns) / 1e6
    return took


def _feeds(session: Session) -> dict[str, np.ndarray]:
    """Return one random observation."""
    rng = np.random.default_rng(0)
    feeds = {}
    for port in session.inputs:
        shape = tuple(1 if size < 0 else size for size in port.shape)
        is_image = port.dtype == "uint8"
        feeds[port.name] = rng.integers(0, 256, shape, np.uint8) if is_image else rng.normal(size=shape).astype("f4")
    return feeds


def _graphs(policy: Path | None, reward: Path | None) -> dict[str, bytes]:
    graphs: dict[str, bytes] = {}
    if policy is not None:
        blobs = load_model(policy, kinds=("policy",)).blobs
        graphs |= {"encoder": blobs["encoder.onnx"], "head": blobs["head.onnx"]}
    if reward is not None:
        graphs["reward"] = load_model(reward, kinds=("reward",)).blobs["reward.onnx"]
    return {**_untrained(), **graphs} if len(graphs) < 3 else graphs


def _untrained() -> dict[str, bytes]:
    """Return graphs of the shapes we train; the training library is needed to make them."""
    from armtune_policies.learn import export
    from armtune_policies.learn.networks import Encoder, Head, seed_everything

    seed_everything(0)
    spec = ObservationSpec()
    encoder = Encoder(spec)
    head = Head(ActionSpec(), encoder.feature_size)
    return {
        "encoder": export.encoder_bytes(encoder, spec),
        "head": export.head_bytes(head, encoder.feature_size),
        "reward": untrained("student"),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
