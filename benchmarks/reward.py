"""How fast judges of success answer on a CPU: one frame at a time and in batches, the student beside its teacher.

Trained models are measured when their folders are given; else the same shapes with random weights, which take as long.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import ObservationSpec
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.session import SENTENCE_SIZE
from armtune_policies.store.manifest import load_model

BATCH = 16


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and a JSON line, and return what the line says."""
    parser = argparse.ArgumentParser(prog="armtune bench reward", description=__doc__)
    parser.add_argument("--student", type=Path, help="reward folder; random weights without")
    parser.add_argument("--teacher", type=Path, help="teacher's folder; random weights without")
    parser.add_argument("--runs", type=int, default=200, help="answers per judge, a tenth as many batches")
    chosen = parser.parse_args(argv)
    found: dict[str, Any] = {"bench": "reward", "machine": platform.machine(), "load_1m": round(os.getloadavg()[0], 1)}
    print(f"{'judge':<10}{'p50 ms':>9}{'p99 ms':>9}{'frames/s':>10}{'MB':>7}  provider")
    for name, graph in _graphs(chosen.student, chosen.teacher).items():
        session = OrtSession(graph)
        one = _took_ms(session, 1, chosen.runs)
        many = _took_ms(session, BATCH, max(chosen.runs // 10, 5))
        p50, p99 = (float(np.percentile(one, q)) for q in (50, 99))
        rate = 1e3 * BATCH / float(np.median(many))
        print(f"{name:<10}{p50:>9.2f}{p99:>9.2f}{rate:>10.0f}{len(graph) / 1e6:>7.1f}  {session.provider}")
        found |= {f"{name}_p50_ms": round(p50, 3), f"{name}_p99_ms": round(p99, 3), f"{name}_frames_s": round(rate, 1)}
        found["provider"] = session.provider
        session.close()
    return found


def _took_ms(session: OrtSession, batch: int, runs: int) -> np.ndarray:
    """Return the time of each run [ms] after a warm-up."""
    rng, feeds = np.random.default_rng(0), {}
    for port in session.inputs:
        shape = (batch, *port.shape[1:])
        is_image = port.dtype == "uint8"
        feeds[port.name] = rng.integers(0, 256, shape, np.uint8) if is_image else rng.normal(size=shape).astype("f4")
    took = np.empty(runs + 3)
    for i in range(len(took)):
        start_ns = time.perf_counter_ns()
        session.run(feeds)
        took[i] = (time.perf_counter_ns() - start_ns) / 1e6
    return took[3:]


def _graphs(student: Path | None, teacher: Path | None) -> Mapping[str, bytes]:
    given = {"student": student, "teacher": teacher}
    return {name: _read(folder) if folder else untrained(name) for name, folder in given.items()}


def _read(folder: Path) -> bytes:
    return load_model(folder, kinds=("reward",)).blobs["reward.onnx"]


def untrained(name: str) -> bytes:
    """Return a graph of the shape we train; the training library is needed to make it."""
    from armtune_policies.learn.export import graph_bytes
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.reward.background import Background
    from armtune_policies.learn.reward.dual import DualEncoder
    from armtune_policies.learn.reward.judge import Familiarity, Served
    from armtune_policies.learn.reward.student import Student
    from armtune_policies.learn.reward.tower import Tower
    from armtune_policies.runtime.images import made_up_images

    seed_everything(0)
    spec = ObservationSpec()
    net = Student(spec) if name == "student" else DualEncoder(Tower())
    inputs = {**made_up_images(spec, 2), "sentence": np.zeros((2, SENTENCE_SIZE), np.float32)}
    size = net.look([_first(inputs)]).shape[1]
    background = Background([(spec.height_px, spec.width_px)] * len(spec.cameras))
    served = Served(net.eval(), Familiarity(size), 1.0, background).eval()
    return graph_bytes(served, inputs, "probability", "distance")


def _first(inputs: Mapping[str, np.ndarray]) -> Any:
    import torch

    return torch.from_numpy(next(iter(inputs.values())))


if __name__ == "__main__":
    main(sys.argv[1:])
