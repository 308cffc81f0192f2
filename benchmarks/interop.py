"""Does the ``lerobot`` package read what we write, and we what it writes? Run in its own environment.

A run (``--run``; without one this half is left out) is exported as LeRobot v3; ``lerobot`` 0.4.4 opens it,
and says what it holds and how far its items' statistics are from the file's. Then ``lerobot`` records a
dataset, which is imported as episode files, exported again, and opened by ``lerobot``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from armtune_bringup.dataset.finding import judged
from armtune_policies.contract import ObservationSpec
from armtune_policies.datasets.importing import import_folder
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.store.episode_reader import list_episodes, read_episode
from benchmarks._peers import make_peer, python_of

PEER = "lerobot"


def main(argv: list[str]) -> dict[str, Any]:
    """Go both ways, print a table, return its numbers.

    Raises:
        RuntimeError: when lerobot does not open a folder of ours, with what it said, or finds something else in it.
    """
    parser = argparse.ArgumentParser(prog="armtune bench interop", description=__doc__)
    parser.add_argument("--run", type=Path, help="run folder to export; else only lerobot's own goes round")
    parser.add_argument("--make-peers", action="store_true", help="make lerobot's environment first (1.5 GB)")
    chosen = parser.parse_args(argv)
    if chosen.make_peers:
        make_peer(PEER)
    python_of(PEER)
    found: dict[str, Any] = {"bench": "interop"}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if chosen.run:
            export(judged(chosen.run, ""), root / "ours")
            found |= {f"ours_{key}": value for key, value in _told(ask("load", root / "ours")).items()}
        ask("write", root / "theirs")
        theirs = ask("load", root / "theirs")
        import_folder(root / "theirs", root / "run", "theirs", None, ObservationSpec())
        export(judged(root / "run", ""), root / "again")
        again = ask("load", root / "again")
        found |= {f"theirs_{key}": value for key, value in _told(again).items()}
        found["same"] = all(
            again[key] == theirs[key] for key in ("frames", "fps", "tasks", "first_state", "last_action")
        )
        steps = sum(read_episode(path).steps for path in list_episodes(root / "run"))
        found["same"] &= steps == theirs["frames"]
    if not found["same"]:
        raise RuntimeError(f"lerobot's own came back as another: expected {theirs}, got {again} with {steps} steps")
    print(f"{'':<34}{'episodes':>9}{'frames':>8}{'largest gap of statistics':>28}")
    for name, title in (("ours", "a run of ours, read by lerobot"), ("theirs", "lerobot's, through our files")):
        if f"{name}_frames" in found:
            row = [found[f"{name}_{key}"] for key in ("episodes", "frames", "stats_gap")]
            print(f"{title:<34}{row[0]:>9}{row[1]:>8}{row[2]:>28.1e}")
    return found


def ask(*words: object) -> dict[str, Any]:
    """Run the peer and return the JSON of its last line."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python_of(PEER)), str(Path(__file__).with_name("_lerobot_peer.py")), *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"lerobot {words[0]}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _told(said: dict[str, Any]) -> dict[str, Any]:
    gaps = [value for gap in said["gaps"].values() for name, value in gap.items() if name != "shape"]
    outputs = sorted(key for key, kind in said["policy_features"].items() if kind == "ACTION")
    return {"episodes": said["episodes"], "frames": said["frames"], "fps": said["fps"],
            "stats_gap": float(np.max(gaps)), "policy_outputs": outputs}  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    print(json.dumps(main(sys.argv[1:])))
