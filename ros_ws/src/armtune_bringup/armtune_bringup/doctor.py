"""What this machine has, and what to do about what is missing. Each check is one function."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from armtune_policies.contract import ConfigError
from armtune_safety.punctual import NICE

from . import environment
from .leftovers import SHARED, dead

Level = Literal["ok", "warn", "missing"]
PROBE_S = 60.0
FREE_WARN_GB, FREE_MISSING_GB = 5.0, 1.0
SOCKET_BUFFER = 4_194_304
"""What our Fast DDS profiles ask for, in bytes."""
DEV, SYS_TTY, RMEM_MAX = Path("/dev"), Path("/sys/class/tty"), Path("/proc/sys/net/core/rmem_max")

RENDER = """
import mujoco, numpy
xml = "<mujoco><worldbody><light pos='0 0 3'/><geom size='.1' rgba='1 0 0 1'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(xml)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    picture = renderer.render()
raise SystemExit(0 if int(numpy.ptp(picture)) > 50 else "the picture is blank")
"""


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, how it is, what was found, what to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """Run every check; none raises."""
    return [finding for check in CHECKS for finding in _guarded(check)]


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def _guarded(check: Callable[[], list[Finding]]) -> list[Finding]:
    name = check.__name__.replace("_", " ")
    try:
        return check()
    except ConfigError as why:
        return [Finding(name, "missing", str(why), "as it says")]
    except (OSError, ValueError, ImportError, subprocess.SubprocessError) as why:
        return [Finding(name, "warn", f"could not be checked: {why}")]


def python() -> list[Finding]:
    version = platform.python_version()
    if (3, 10) <= sys.version_info[:2] <= (3, 13):
        return [Finding("python", "ok", version)]
    return [Finding("python", "missing", version, "use Python 3.10 to 3.13: make build PYTHON=python3.12")]


def ros() -> list[Finding]:
    distro = os.environ.get("ROS_DISTRO", "")
    if importlib.util.find_spec("rclpy") is None:
        advice = "make build (wheels, x86-64), or source /opt/ros/jazzy/setup.bash"
        return [Finding("ros", "missing", "no rclpy", advice)]
    if distro and distro != "jazzy":
        return [Finding("ros", "warn", f"distribution {distro}", "Jazzy is what is tested")]
    kind = f"distribution {distro}" if distro else f"wheels, rclpy {_version('ros-jazzy-rclpy', 'rclpy')}"
    rows = [Finding("ros", "ok", kind)]
    built = importlib.util.find_spec("armtune_interfaces") is not None
    advice = "" if built else "make build, or colcon build and source install/setup.bash"
    rows.append(Finding("interfaces", "ok" if built else "missing", "built" if built else "not built", advice))
    if os.environ.get("_ROS_WHEELS_BOOTSTRAP_COMPLETE") and "LD_LIBRARY_PATH" not in os.environ:
        advice = "unset _ROS_WHEELS_BOOTSTRAP_COMPLETE; it came from another environment and rclpy will not load"
        rows.append(Finding("ros environment", "missing", "half of a ROS environment", advice))
    return rows


def middleware() -> list[Finding]:
    rmw = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    rows = [Finding("middleware", "ok", rmw)]
    if rmw != "rmw_fastrtps_cpp":
        rows = [Finding("middleware", "warn", rmw, "rmw_fastrtps_cpp is what is tested and tuned here")]
    named = os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE")
    path = Path(named) if named else environment.profile()
    if not path.is_file():
        advice = "unset FASTRTPS_DEFAULT_PROFILES_FILE, or name a file that exists"
        return [*rows, Finding("dds profile", "missing", str(path), advice)]
    return [*rows, Finding("dds profile", "ok", "yours" if named else "this machine only", str(path) if named else "")]


def domain() -> list[Finding]:
    number = environment.domain()
    try:
        os.close(environment.claim(number))
    except ConfigError as why:
        return [Finding("domain", "warn", f"{number} is in use", str(why))]
    return [Finding("domain", "ok", f"{number} is free, ports from {7400 + 250 * number}")]


def inference() -> list[Finding]:
    if importlib.util.find_spec("onnxruntime") is None:
        return [Finding("onnxruntime", "missing", "not installed", "make build, or pip install onnxruntime")]
    import onnxruntime

    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    gpu = shutil.which("nvidia-smi") is not None
    level: Level = "warn" if gpu and "CUDA" not in providers else "ok"
    advice = "" if level == "ok" else "a GPU is here but unused: make build ONNXRUNTIME=gpu"
    both = _version("onnxruntime") and _version("onnxruntime-gpu")
    rows = [Finding("onnxruntime", level, f"{onnxruntime.__version__}: {', '.join(providers)}", advice)]
    if both:
        advice = "pip uninstall both, then install one: they own the same folder"
        rows.append(Finding("onnxruntime twice", "missing", "onnxruntime and onnxruntime-gpu", advice))
    return rows


def gpu() -> list[Finding]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return [Finding("gpu", "ok", "none; the CPU does for everything here")]
    command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S)
    if done.returncode:
        return [Finding("gpu", "warn", "nvidia-smi fails", "check the driver: nvidia-smi")]
    return [Finding("gpu", "ok", line.strip()) for line in done.stdout.splitlines() if line.strip()]


def training() -> list[Finding]:
    version = _version("torch")
    if version:
        return [Finding("torch", "ok", version)]
    return [Finding("torch", "warn", "not installed", "only needed to pre-train and learn; a robot does without")]


def cameras() -> list[Finding]:
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    closed = [path for path in devices if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        rows = [
            Finding("usb cameras", "warn", f"no access to {closed[0]}", "sudo usermod -aG video $USER, log in again")
        ]
    else:
        rows = [Finding("usb cameras", "ok", ", ".join(devices) or "none; simulation needs none")]
    if importlib.util.find_spec("pyrealsense2") is None:
        return [
            *rows,
            Finding("realsense", "warn", "no pyrealsense2", "pip install pyrealsense2, for a RealSense camera only"),
        ]
    return [*rows, Finding("realsense", "ok", _realsense())]


def _realsense() -> str:
    import pyrealsense2

    count = len(pyrealsense2.context().query_devices())
    return f"pyrealsense2 {_version('pyrealsense2')}, {count} connected"


def rendering() -> list[Finding]:
    """Really render one picture with each back end, each in a process of its own."""
    if importlib.util.find_spec("mujoco") is None:
        return [Finding("rendering", "warn", "no mujoco", "only needed for simulation: make build")]
    works = {}
    for backend in ("egl", "osmesa"):
        env = {**os.environ, "MUJOCO_GL": backend}
        done = subprocess.run([sys.executable, "-c", RENDER], env=env, capture_output=True, text=True, timeout=PROBE_S)
        works[backend] = done.returncode == 0
    good = [name for name, fine in works.items() if fine]
    if good:
        return [Finding("rendering", "ok", f"{' and '.join(good)}, without a display")]
    advice = "sudo apt install libegl1 libgl1-mesa-dri (EGL) or libosmesa6 (software)"
    return [Finding("rendering", "missing", "neither EGL nor OSMesa renders", advice)]


def disk() -> list[Finding]:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    level: Level = "missing" if free_gb < FREE_MISSING_GB else "warn" if free_gb < FREE_WARN_GB else "ok"
    advice = "" if level == "ok" else "free some; an episode takes 1 to 5 MB, the environment 3 GB"
    return [Finding("disk", level, f"{free_gb:.1f} GB free here", advice)]


def real_time() -> list[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    rows = [
        Finding(
            "cpu cores", "ok" if (n := os.cpu_count() or 1) >= 2 else "warn", str(n), "" if n >= 2 else "two at least"
        )
    ]
    is_allowed = soft == resource.RLIM_INFINITY or 20 - soft <= NICE  # as setrlimit(2) counts
    if is_allowed or os.geteuid() == 0:
        return [*rows, Finding("priority", "ok", f"nice {NICE} allowed")]
    advice = f"on a robot: '@armtune - nice {NICE}' in /etc/security/limits.d/, add yourself to that group"
    return [*rows, Finding("priority", "warn", f"nice {NICE} not allowed", advice)]


def shared_memory() -> list[Finding]:
    if not SHARED.is_dir():
        return [Finding("shared memory", "missing", f"no {SHARED}", "mount it (docker run --shm-size=1g)")]
    free_mb = shutil.disk_usage(SHARED).free / 1e6
    found, left = f"{free_mb:.0f} MB free", len(dead(SHARED))
    if left:
        found += f", {left} left by dead processes: removed when a graph starts"
    if free_mb < 512:
        advice = "each node that sees wants 17 MB: docker run --shm-size=1g"
        return [Finding("shared memory", "warn", found, advice)]
    return [Finding("shared memory", "ok", found)]


def socket_buffers() -> list[Finding]:
    if not RMEM_MAX.is_file():
        return [Finding("socket buffers", "ok", "not visible in this container; the host's limit applies")]
    largest = int(RMEM_MAX.read_text())
    if largest >= SOCKET_BUFFER:
        return [Finding("socket buffers", "ok", f"up to {largest / 1e6:.1f} MB")]
    advice = (
        f"large pictures may not reach the console: net.core.rmem_max={SOCKET_BUFFER} in /etc/sysctl.d/armtune.conf"
    )
    return [Finding("socket buffers", "warn", f"up to {largest / 1e6:.1f} MB", advice)]


def arms() -> list[Finding]:
    """Serial ports an arm may be on: may we use them, and do they pass short answers on at once?"""
    ports = sorted(path for pattern in ("ttyUSB*", "ttyACM*") for path in DEV.glob(pattern))
    if not ports:
        return [Finding("arm ports", "ok", "none plugged in; none needed for the simulator")]
    rows = []
    for port in ports:
        timer = SYS_TTY / port.name / "device" / "latency_timer"
        waits_ms = int(timer.read_text()) if timer.is_file() else 0
        if not os.access(port, os.R_OK | os.W_OK):
            advice = "add your user to group `dialout`, log in again"
            rows.append(Finding("arm ports", "warn", f"{port}: no permission", advice))
        elif waits_ms > 1:
            advice = "set it to 1 by the udev rules in deploy/; 100 reads a second need it"
            rows.append(Finding("arm ports", "warn", f"{port}: its latency timer is {waits_ms} ms", advice))
        else:
            rows.append(Finding("arm ports", "ok", str(port)))
    return rows


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    python, ros, middleware, domain, inference, gpu, training, cameras, arms, rendering, disk, real_time, shared_memory,
    socket_buffers,
)  # fmt: skip


def _version(*names: str) -> str:
    """Version of the first installed distribution of these names, blank for none."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
