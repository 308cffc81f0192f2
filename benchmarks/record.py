"""What recording costs: two cameras 640x480 at 30 Hz and joints at 100 Hz, every frame kept, beside control.

A process publishes pictures (smooth, something moving, a sensor's noise), joint states and a control
step at 5 Hz; ``recorder_node`` keeps all of it, raw, as JPEG and as video, and a plain MCAP writer (raw
subscriptions, no episodes, no salvage) keeps the same topics. Meanwhile ``gate_node`` and an arm run as
in `armtune bench gate`: its latency and jitter with cameras only is what the others are compared with.
*Lost* is what was published while the episode was acted, less half a second at either end, and is not in
the file, or cannot be decoded out of it, by the stamps in the messages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from armtune_bringup.compose import compose
from armtune_policies.store import records, schemas
from armtune_policies.store.encoding import VIEW_TOPICS, Decoder
from armtune_policies.store.mcap_scan import entries
from armtune_policies.store.settings import COMPRESSIONS, RecorderParams
from armtune_runtime.practice_settings import RecorderNodeParams
from benchmarks import gate
from benchmarks._stack import ROOT, Stack

CAMERAS = ("front", "wrist")
NOBODY, PLAIN = "cameras only", "plain MCAP writer"
EDGE_NS = 500_000_000


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench record", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is measured")
    parser.add_argument("--only", nargs="*", choices=(NOBODY, PLAIN, *COMPRESSIONS), help="not all of them")
    parser.add_argument("--no-control", action="store_true", help="without gate and arm beside it")
    chosen = parser.parse_args(argv)
    asked = [name for name in (NOBODY, PLAIN, *COMPRESSIONS) if chosen.only is None or name in chosen.only]
    found: dict[str, Any] = {"bench": "record", "seconds": chosen.seconds, "cores": os.cpu_count()}
    found |= {"load_1m": round(os.getloadavg()[0], 2), "rows": {}}
    for name in asked:
        found["rows"][name] = measure(name, chosen.seconds, not chosen.no_control)
    _print(found["rows"])
    return found


def measure(name: str, seconds: float, with_control: bool) -> dict[str, Any]:
    """Record for a while and return what it cost."""
    control: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch, Stack(Path(scratch)) as stack:
        recorder, file = _start(stack, name)
        env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain), "ROS_LOG_DIR": str(stack.folder / "ros")}
        command = [sys.executable, "-m", "benchmarks._record_wire", "source", str(seconds)]
        source = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        beside = threading.Thread(target=_control, args=(max(seconds - 8.0, 2.0), name, control))
        if with_control:
            beside.start()
        before_s, began_s = _cpu_s(recorder), time.monotonic()
        out, _ = source.communicate(timeout=seconds + 60.0)
        cpu_s, wall_s = _cpu_s(recorder) - before_s, time.monotonic() - began_s
        if with_control:
            beside.join(timeout=seconds + 120.0)
        if recorder is None:
            return {"cpu": 0.0, **control}
        finished = _finish(stack, name, file)
        sent = json.loads(out.splitlines()[-1])
        return {**_lost(sent, finished), "cpu": round(cpu_s / wall_s, 3),
                "mb_s": round(finished.stat().st_size / 1e6 / seconds, 2), **control}  # fmt: skip


def _start(stack: Stack, name: str) -> tuple[psutil.Process | None, Path]:
    run, file = stack.folder / "run", stack.folder / "plain.mcap"
    if name == NOBODY:
        for camera in CAMERAS:
            _listen(stack, camera)
        return None, file
    if name == PLAIN:
        env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain), "ROS_LOG_DIR": str(stack.folder / "ros")}
        command = [sys.executable, "-m", "benchmarks._record_wire", "plain", str(file)]
        stack.processes[PLAIN] = subprocess.Popen(command, cwd=ROOT, env=env)
    else:
        recorder = RecorderParams(every_frame=True, compression=name, disk_floor_mb=10, ring_s=0.0, close_wait_s=0.5)
        params = RecorderNodeParams(recorder=recorder, run_folder=str(run), camera_names=CAMERAS)
        stack.bring_up("armtune_runtime.recorder_node", name, params)
    return psutil.Process(stack.processes[name].pid), file if name == PLAIN else run


def _listen(stack: Stack, camera: str) -> None:
    """Somebody must subscribe, or nothing is sent; one who does nothing with it."""
    from sensor_msgs.msg import Image, JointState

    from armtune_policies.contract import topics
    from armtune_safety.managed_node import CAMERA_QOS

    stack.node.create_subscription(Image, topics.image(camera), lambda _: None, CAMERA_QOS, raw=True)
    stack.node.create_subscription(JointState, topics.JOINT_STATES, lambda _: None, CAMERA_QOS, raw=True)


def _finish(stack: Stack, name: str, file: Path) -> Path:
    if name == PLAIN:
        stack.stop(PLAIN)
        return file
    stack.until(lambda: bool(list(file.glob("episodes/*.mcap"))), what="the episode file", timeout_s=60.0)
    stack.stop(name)
    return next(file.glob("episodes/*.mcap"))


def _control(seconds: float, name: str, out: dict[str, Any]) -> None:
    try:
        found = gate.measure(compose([]), seconds, f"{name}: gate beside it")
    except RuntimeError as why:
        out["control"] = str(why)
        return
    out |= {key: found[key] for key in ("latency_p50_ms", "latency_p99_ms", "jitter_p99_ms", "jitter_p999_ms")}


def _lost(sent: dict[str, list[int]], file: Path) -> dict[str, Any]:
    """Compare the stamps sent with those in the file."""
    kept: dict[str, set[int]] = {name: set() for name in sent}
    decoders: dict[str, Decoder] = {}
    for entry in entries(file):
        end = VIEW_TOPICS.get(entry.type_name)
        if end and entry.topic.endswith(end):
            message = schemas.decode(entry.type_name, entry.data, entry.schema)
            stamp = message.timestamp if entry.type_name == schemas.COMPRESSED_VIDEO else message.header.stamp
            if decoders.setdefault(entry.topic, Decoder())(entry.type_name, message):  # a frame that shows
                kept[entry.topic.removesuffix(end)].add(records.to_ns(stamp))
        elif entry.type_name == schemas.JOINT_STATE:
            kept["joints"].add(records.to_ns(schemas.decode(entry.type_name, entry.data, entry.schema).header.stamp))
    first, last = min(min(s) for s in sent.values()), max(max(s) for s in sent.values())
    begun = max(first, min((min(k) for k in kept.values() if k), default=first)) + EDGE_NS
    counted = {name: [s for s in stamps if begun <= s <= last - EDGE_NS] for name, stamps in sent.items()}
    lost = {name: sum(s not in kept[name] for s in stamps) for name, stamps in counted.items()}
    frames = sum(len(counted[camera]) for camera in CAMERAS)
    return {"frames": frames, "frames_lost": sum(lost[camera] for camera in CAMERAS),
            "states": len(counted["joints"]), "states_lost": lost["joints"]}  # fmt: skip


def _cpu_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


def _print(rows: dict[str, dict[str, Any]]) -> None:
    head = ("frames", "lost", "states", "lost", "CPU %", "MB/s", "latency p50", "p99 ms", "jitter p99", "p99.9 ms")
    print(f"{'':<20}" + "".join(f"{name:>12}" for name in head))
    keys = ("frames", "frames_lost", "states", "states_lost", "cpu", "mb_s", "latency_p50_ms", "latency_p99_ms",
            "jitter_p99_ms", "jitter_p999_ms")  # fmt: skip
    for name, row in rows.items():
        shown = {**row, "cpu": f"{100 * row['cpu']:.0f}"}
        print(f"{name:<20}" + "".join(f"{shown.get(key, '-'):>12}" for key in keys))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
