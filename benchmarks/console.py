"""Whether people who look on disturb the arm: the gate's tick without and with a console and its viewers.

The graph of ``armtune bench gate`` with a camera of 640x480 at 30 Hz, twice: alone, and with ``console_node`` and so
many viewers, who take every picture they can get, and one more whose tab is frozen. Viewers are a process of their own
and only receive. The console's memory is read all the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil

from armtune_bringup.compose import compose
from armtune_console.settings import ConsoleNodeParams, ConsoleParams
from benchmarks._stack import ROOT, Stack
from benchmarks._words import only_ours, read_words
from benchmarks.gate import lasts_s, measure

CAMERA = {"camera_width_px": 640, "camera_height_px": 480, "camera_rate_hz": 30.0}
MB = 1e6
OURS = {"viewers": 5, "seconds": 600.0}
KEPT = ("jitter_p50_ms", "jitter_p99_ms", "jitter_p999_ms", "jitter_max_ms", "latency_p99_ms",
        "step_p50_ms", "step_p99_ms", "step_max_ms")  # fmt: skip


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench console", description=__doc__)
    parser.add_argument("settings", nargs="*", metavar="viewers=5 seconds=600", help="how many, and how long, each way")
    told, rest = read_words("console", parser.parse_args(argv).settings, OURS)
    only_ours("console", rest, OURS)
    viewers, seconds = told["viewers"], told["seconds"]
    config = compose([])
    found: dict[str, Any] = {"bench": "console", "viewers": viewers, "seconds": seconds, "cores": os.cpu_count()}
    found["load_1m"] = round(os.getloadavg()[0], 2)
    alone = measure(config, seconds, "alone", CAMERA)
    seen: dict[str, Any] = {}
    watched = measure(
        config, seconds, f"{viewers} viewers", CAMERA, lambda stack: audience(stack, viewers, seconds, seen)
    )
    for name in KEPT:
        found |= {f"{name}_alone": alone[name], f"{name}_viewers": watched[name]}
    found |= seen
    _print(found)
    return found


@contextmanager
def audience(stack: Stack, viewers: int, seconds: float, seen: dict[str, Any]) -> Iterator[None]:
    """Look on, and note what was seen and what it cost."""
    folder = stack.folder / "runs" / "bench"
    params = ConsoleNodeParams(console=ConsoleParams(kind="web", port=0), run_id="bench", run_folder=str(folder))
    stack.bring_up("armtune_console.console_node", "console_node", params)
    line = next(line for line in stack.log("console_node").splitlines() if "the console is at" in line)
    command = [
        sys.executable,
        "-m",
        "benchmarks._viewers",
        line.rsplit(" ", 1)[1],
        str(viewers),
        str(lasts_s(seconds)),
    ]
    audience = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    console, rss_mb, over = psutil.Process(stack.processes["console_node"].pid), list[float](), threading.Event()

    def weigh() -> None:
        while not over.wait(timeout=1.0):
            rss_mb.append(console.memory_info().rss / MB)

    watching = threading.Thread(target=weigh, daemon=True)
    watching.start()
    began = console.cpu_times()
    try:
        yield
        out, _ = audience.communicate(timeout=60.0)
    finally:
        over.set()
        audience.kill()
        watching.join(timeout=5.0)
    used = console.cpu_times()
    cpu_s = used.user + used.system - began.user - began.system
    seen |= json.loads(out.splitlines()[-1])
    seen["console_cpu_share"] = round(cpu_s / lasts_s(seconds), 3)
    seen["console_rss_mb"] = round(rss_mb[-1], 1)
    seen["console_rss_growth_mb"] = round(growth(rss_mb), 1)


def growth(values: Sequence[float]) -> float:
    """Return by how much what was read all the time is more in the last tenth than in the one after the middle.

    What is made at the start does not count, nor does a single odd reading: of each tenth the median is taken.
    """
    some, middle = max(len(values) // 10, 1), len(values) // 2
    return statistics.median(values[-some:]) - statistics.median(values[middle : middle + some])


def _print(found: dict[str, Any]) -> None:
    print(f"{'ms':<24}{'alone':>10}{'viewers':>10}")
    for name in KEPT:
        print(f"{name.removesuffix('_ms'):<24}{found[f'{name}_alone']:>10.2f}{found[f'{name}_viewers']:>10.2f}")
    print(f"{found['frames']} pictures to {found['viewers']} viewers, {found['frozen_bytes']} bytes to a frozen tab")
    print(f"console: {found['console_cpu_share']:.0%} of a core, {found['console_rss_mb']} MB")
    print(f"grew by {found['console_rss_growth_mb']} MB in the second half")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
