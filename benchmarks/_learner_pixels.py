"""Updates per second from pixels, beside what the machine's arithmetic and memory allow at most.

On a GPU RoboFuME's network (100 px, batch 256, float32 and bfloat16); on one core of a CPU the small one (64 px, batch
64). ``updates_s`` counts updates of a batch that is there, ``with_sampling_s`` the whole loop: rows out of the replay,
to the device, shifted, learnt. The roof is the greater of an update's operations at the speed of a large matrix
product, and the bytes its operators read and write at the speed of a large copy, both measured in the same run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.networks import has_bf16
from armtune_policies.learn.pixels import Frame, ready
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import Trajectory

ROWS, STATE, ACTIONS = 1000, 7, 7
CELLS = {"cpu": [("small", 64, 64, False), ("small", 64, 64, True)],
         "cuda": [("drq", 100, 256, False), ("drq", 100, 256, True)]}  # fmt: skip
"""By device: network, pixels, batch, bfloat16."""


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operators read and write; a view moves none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return out


def main(seconds: float = 4.0) -> dict[str, Any]:
    """Measure what this machine has, print a table, return its numbers."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    if device.type == "cpu":
        print("no GPU here: one core, the small network")
    found: dict[str, Any] = {"bench": "learner_pixels", "device": str(device)}
    print(f"{'pixels':<28}{'updates/s':>10}{'+sampling':>10}{'roof':>9}{'of roof':>9}{'GFLOP':>8}{'MB':>8}")
    for kind, size_px, batch, bf16 in CELLS[device.type]:
        if bf16 and not has_bf16(device):
            print("this processor does not multiply bfloat16")
            continue
        name = f"{kind}_{size_px}px_{batch}_{'bf16' if bf16 else 'f32'}"
        row = cell(kind, size_px, batch, bf16, device, seconds)
        found |= {f"{name}_{key}": value for key, value in row.items()}
        print(f"{name:<28}{row['updates_s']:>10.1f}{row['with_sampling_s']:>10.1f}{row['roof_s']:>9.1f}"
              f"{row['of_roof']:>9.2f}{row['gflop']:>8.1f}{row['mb']:>8.0f}", flush=True)  # fmt: skip
    return found


def cell(kind: str, size_px: int, batch: int, bf16: bool, device: torch.device, seconds: float) -> dict[str, float]:
    params = AgentParams(recipe="rlpd", critics=2, actor_q="mean", pixels=kind, batch=batch, bf16=bf16)
    agent = Agent(Layout(STATE, ACTIONS, torch.randn(2, 384), Frame(size_px, size_px, 3)), params, 0, device)
    replay, rng = _replay(size_px, params), np.random.default_rng(0)
    there = ready(replay.sample(rng, batch), params.shift_px, device)
    agent.update(there)
    with FlopCounterMode(display=False) as flops, Traffic() as traffic:
        agent.update(there)
    speed = rate(lambda: agent.update(there), device, seconds)
    whole = rate(lambda: agent.update(replay.sample(rng, batch)), device, seconds)
    roof = 1.0 / max(flops.get_total_flops() / _flops_s(device, bf16), traffic.bytes / _bytes_s(device))
    return {
        "updates_s": round(speed, 2), "with_sampling_s": round(whole, 2), "roof_s": round(roof, 1),
        "of_roof": round(speed / roof, 3), "gflop": round(flops.get_total_flops() / 1e9, 2),
        "mb": round(traffic.bytes / 1e6, 1),
    }  # fmt: skip


def rate(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return how often a second it is done: of processor time on a CPU, of the clock on a GPU."""
    clock = time.process_time if device.type == "cpu" else _synchronised
    for _ in range(3):
        work()
    start, count = clock(), 0
    while clock() - start < seconds:
        for _ in range(1 if device.type == "cpu" else 20):
            work()
            count += 1
    return count / (clock() - start)


def _synchronised() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def _flops_s(device: torch.device, bf16: bool) -> float:
    size = 512 if device.type == "cpu" else 8192
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    out = torch.empty_like(a)
    return 2.0 * size**3 * rate(lambda: torch.mm(a, a, out=out), device, 0.5)


def _bytes_s(device: torch.device) -> float:
    a = torch.empty(1 << (26 if device.type == "cpu" else 30), device=device, dtype=torch.uint8)
    out = torch.empty_like(a)
    return 2.0 * len(a) * rate(lambda: out.copy_(a), device, 0.5)


def _replay(size_px: int, params: AgentParams) -> Replay:
    rng = np.random.default_rng(0)
    replay = Replay(ROWS, RowShape(state=STATE, action=ACTIONS, images={"front": (size_px, size_px)}), params)
    follows = np.append(np.ones(ROWS - 1, bool), False)
    replay.add(Trajectory(
        source="random", features=np.zeros((ROWS, 0), np.float32), reward=-np.ones(ROWS, np.float32),
        state=rng.normal(size=(ROWS, STATE)).astype(np.float32), terminated=np.zeros(ROWS, bool), follows=follows,
        action=rng.uniform(-1, 1, (ROWS, ACTIONS)).astype(np.float32), is_step=follows.copy(),
        images={"front": rng.integers(0, 256, (ROWS, size_px, size_px, 3), dtype=np.uint8)},
    ))  # fmt: skip
    return replay


if __name__ == "__main__":
    print(json.dumps(main(*map(float, sys.argv[1:]))))
