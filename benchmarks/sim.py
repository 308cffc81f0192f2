"""How fast the simulated world is: physics alone, behind the gate, and with pictures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from armtune_sim.env import ArmEnv
from armtune_sim.render import backend
from armtune_sim.settings import SimParams
from armtune_sim.tasks import TASKS
from armtune_sim.world import STEPS_PER_TICK

SIZES_PX = ((96, 96), (224, 224), (480, 640))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and a JSON line, and return what the line says."""
    parser = argparse.ArgumentParser(prog="armtune bench sim", description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), default="bin_sort")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each row is measured")
    chosen = parser.parse_args(argv)
    env = ArmEnv(chosen.task, episode_steps=10**9)
    env.reset(seed=0)
    gated, rng = env.gated, np.random.default_rng(0)
    world, home = gated.world, gated.world.joints_measured()
    low, high = np.array(gated.spec.low), np.array(gated.spec.high)

    def proposal() -> np.ndarray:
        return rng.uniform(0.3 * low, 0.3 * high)

    rows: dict[str, Callable[[], Any]] = {
        "ticks": lambda: world.tick(home),
        "control_steps": lambda: gated.step(proposal()),
        "env_steps": lambda: env.step(proposal().astype(np.float32)),
        **{f"frames_{h}x{w}": (lambda h=h, w=w: world.render("front", h, w)) for h, w in SIZES_PX},
        "frames_wrist_480x640": lambda: world.render("wrist"),
    }
    found: dict[str, Any] = {
        "bench": "sim",
        "task": chosen.task,
        "renderer": backend(),
        "mujoco": mujoco.__version__,
        "machine": platform.machine(),
        "load_1m": round(os.getloadavg()[0], 1),
    }
    rates = {name: _rate(work, chosen.seconds) for name, work in rows.items()}
    shaded = ArmEnv(chosen.task, sim=SimParams(shadows=True))
    rates["frames_480x640_shadows"] = _rate(lambda: shaded.gated.world.render("front"), chosen.seconds)
    rates = {"physics_steps": rates["ticks"] * STEPS_PER_TICK, **rates}
    print(f"{'per second':<26}{'rate':>10}{'x real time':>13}")
    for name, rate in rates.items():
        paced = {"physics_steps": 500, "ticks": 100, "control_steps": 5, "env_steps": 5}.get(name)
        print(f"{name:<26}{rate:>10.0f}{f'{rate / paced:.0f}' if paced else '':>13}")
        found[f"{name}_per_s"] = round(rate, 1)
    return found


def _rate(work: Callable[[], Any], seconds: float) -> float:
    """Return how often ``work`` fits into a second, after a warm-up."""
    work()
    count, start_s = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - start_s) < seconds:
        work()
        count += 1
    return count / passed_s


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
