"""Resolve the newest versions that fit and write them down for this Python.

    python3.11 constraints/upgrade.py

Writes ``lock-<python>.txt`` (exact versions, used as pip constraints) and
``ros-<python>.txt`` (the ROS wheels, exact and hashed). torch stays a range: which build
is right depends on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
ASKED = ["build.txt", "ros.txt", "robot.txt", "cpu.txt", "workstation.txt", "dev.txt"]
FREE = ("torch", "triton", "nvidia-", "cuda-")


def resolve() -> list[dict]:
    """Ask pip, in an empty environment, what it would install."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/pip"]
        subprocess.run([*pip, "install", "-q", "-U", "pip"], check=True)
        files = [part for name in ASKED for part in ("-r", str(HERE / name))]
        command = [*pip, "install", "--dry-run", "--ignore-installed", "-q", "--report", "-", *files]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["install"]


def main() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pins, wheels = [], []
    for item in sorted(resolve(), key=lambda item: item["metadata"]["name"].lower()):
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        if name.lower().startswith(FREE):
            continue
        pins.append(f"{name}=={version}\n")
        if name.startswith("ros-"):
            sha = item["download_info"]["archive_info"]["hashes"]["sha256"]
            wheels.append(f"{name}=={version} --hash=sha256:{sha}\n")
    (HERE / f"lock-{python}.txt").write_text("# Made by constraints/upgrade.py\n" + "".join(pins))
    (HERE / f"ros-{python}.txt").write_text("# Made by constraints/upgrade.py\n" + "".join(wheels))
    print(f"{len(pins)} pins for Python {python}, {len(wheels)} of them hashed ROS wheels")


if __name__ == "__main__":
    main()
