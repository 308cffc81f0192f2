#!/usr/bin/env python3
"""Replays every step of one target of the Dockerfile in a clean root, where no container engine exists; as root.

    docker/clean_root.py [--target robot] [--suite bookworm] [--keep FOLDER]      # about six minutes

A fresh Debian (debootstrap, chroot) stands in for the base image, ROS from wheels in /opt/ros/jazzy for its packages.
Each step is run by the very text of the Dockerfile, as its user, with its ENV; what is not, is said.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from steps import TRAINS, Step, parse

ROOT = Path(__file__).resolve().parents[1]
ROS = "opt/ros/jazzy"
STANDS_IN = ("ros-jazzy-", "python3-colcon-")
"""Debian packages of the ROS archive: here from wheels."""
NEEDED = "python3,python3-venv,python3-dev,ca-certificates"
SETUP = """. /opt/ros/jazzy/bin/activate
export AMENT_PREFIX_PATH=/opt/ros/jazzy
colcon() {{ python -m colcon "$@" -GNinja -DCMAKE_PROJECT_INCLUDE={wheels} -DPython3_EXECUTABLE=/{ros}/bin/python; }}
"""
HOST = ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches its package indexes."""
CHECK = """
import importlib.metadata, importlib.util, os, sys
import rclpy, armtune_interfaces.msg, armtune_safety.gate_node, armtune_runtime.policy_node
names = {d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()}
if found := sorted(names & set(sys.argv[1:])): sys.exit(f"trains: {', '.join(found)}")
if os.getuid() == 0: sys.exit("runs as root")
if not (at := armtune_safety.__file__).startswith("/opt/armtune/"): sys.exit(f"{at} is not what colcon built")
print(f"user {os.getuid()}, {len(names)} packages, none of {', '.join(sorted(sys.argv[1:]))}")
"""


class CleanRoot:
    """A root folder, the environment and the user that the steps so far have made."""

    def __init__(self, folder: Path, arguments: dict[str, str]) -> None:
        self.folder, self.arguments = folder, arguments
        reach = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.endswith(("_proxy", "_PROXY"))}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.env = {**reach, "PATH": path, "HOME": "/root", "LANG": "C.UTF-8"}
        self.at, self.user = "/", ""

    def shell(self, text: str, *words: str) -> str:
        """Run a command in the root and return what it said; a failure ends the replay with its last words."""
        user = [f"--userspec={self.user}"] if self.user else []
        command = ["chroot", *user, str(self.folder), "/bin/sh", "-c", f"cd {self.at} && {text}", "sh", *words]
        home = {"HOME": f"/home/{self.user}"} if self.user else {}
        done = subprocess.run(
            command, env={**self.env, **home}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\nerror: exit code {done.returncode} of: {text}")
        return done.stdout

    def replay(self, step: Step) -> str:
        """Do one step; return what was done otherwise, blank for nothing."""
        if step.name == "RUN":
            left_out = [word for word in step.text.split() if word.startswith(STANDS_IN)]
            kept = " ".join(word for word in step.text.split() if word not in left_out)
            self.shell(kept if left_out else step.text)
            return f"from wheels: {' '.join(left_out)}" if left_out else ""
        if step.name == "COPY":
            return self._copy(step)
        if step.name == "ENV":
            self.env |= {name: value.replace("$PATH", self.env["PATH"]) for name, value in step.pairs.items()}
        elif step.name == "ARG":
            self.env |= {name: self.arguments.get(name, value) for name, value in step.pairs.items()}
        elif step.name == "WORKDIR":
            self.at = step.text
            self._in(step.text).mkdir(parents=True, exist_ok=True)
        elif step.name == "USER":
            self.user = "" if step.text == "root" else step.text
        return ""

    def _copy(self, step: Step) -> str:
        if "from" in step.flags:
            return "the root has its own"
        *sources, target = step.words
        for source in sources:
            place = self._in(target) if target.startswith("/") else self._in(self.at) / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, dirs_exist_ok=True, ignore=_ignored)
            else:
                shutil.copy2(ROOT / source, place)
        return ""

    def _in(self, path: str) -> Path:
        return self.folder / path.lstrip("/")


def _ignored(folder: str, names: list[str]) -> set[str]:
    """What .dockerignore leaves out, and what builds in the checkout leave behind."""
    patterns = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()]
    return {name for pattern in [*patterns, "*.egg-info"] for name in fnmatch.filter(names, pattern)}


def base(root: CleanRoot, suite: str) -> None:
    """Make the base image: a clean Debian, and ROS from wheels where the Dockerfile expects it."""
    program = shutil.which("debootstrap") or sys.exit("no debootstrap: apt-get install debootstrap")
    made = subprocess.run([program, "--variant=minbase", f"--include={NEEDED}", suite, str(root.folder)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if made.returncode:
        sys.exit(f"{made.stdout[-2000:]}\nerror: debootstrap failed")
    for name in HOST:
        if Path("/", name).is_file():
            shutil.copyfile(Path("/", name), root.folder / name)
    for kind, place in (("proc", "proc"), ("tmpfs", "dev/shm")):
        (root.folder / place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", kind, kind, str(root.folder / place)], check=True)
    shutil.copytree(ROOT / "constraints", root.folder / "opt/constraints")
    root.shell(f"python3 -m venv --system-site-packages /{ROS}")
    version = root.shell("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    pip = f"/{ROS}/bin/pip install -q --no-cache-dir"
    # ROS' own Python packages too, numpy apart: which numpy, the Dockerfile says.
    colcon = "colcon-common-extensions catkin_pkg empy==3.3.4 lark packaging pyyaml typing_extensions"
    root.shell(f"{pip} -r /opt/constraints/build.txt {colcon}")
    root.shell(f"{pip} --require-hashes --no-deps -r /opt/constraints/ros-{version}.txt")
    wheels = "/armtune/ros_ws/src/armtune_interfaces/cmake/pip_wheels.cmake"
    (root.folder / ROS / "setup.sh").write_text(SETUP.format(wheels=wheels, ros=ROS))
    (root.folder / ROS / "setup.bash").write_text(SETUP.format(wheels=wheels, ros=ROS))


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker/clean_root.py", description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="robot")
    parser.add_argument("--suite", default="bookworm", help="of Debian; its Python needs a constraints/ros-*.txt")
    parser.add_argument("--keep", type=Path, help="an empty folder to build in and leave; a temporary one without")
    chosen = parser.parse_args()
    if os.geteuid():
        sys.exit("error: expected root, for chroot and mounts; use sudo")
    if "CLEAN_ROOT_MOUNTS" not in os.environ:  # mounts of our own, gone when we are
        again = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        os.execvpe("unshare", again, {**os.environ, "CLEAN_ROOT_MOUNTS": "own"})
    made = parse((ROOT / "Dockerfile").read_text())
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="clean-root-"))
    folder.chmod(0o755)  # a root is for every user; a temporary folder is not
    root = CleanRoot(folder, made.arguments)
    began_s = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began_s:6.0f} s  {what}", flush=True)

    try:
        say(f"debootstrap {chosen.suite}, ROS from wheels")
        base(root, chosen.suite)
        for step in made.steps(chosen.target):
            say(f"{step.name} {step.text[:90]}")
            if otherwise := root.replay(step):
                say(f"    {otherwise}")
        say("check: imports, packages, user")
        print(
            root.shell('/entrypoint.sh python3 -c "$@"', CHECK, *(TRAINS if chosen.target == "robot" else ())), end=""
        )
        root.shell("/entrypoint.sh armtune config show")
        say(f"{chosen.target}: every step replayed")
    finally:
        if not chosen.keep:
            subprocess.run(["umount", *(str(folder / place) for place in ("proc", "dev/shm"))], capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
