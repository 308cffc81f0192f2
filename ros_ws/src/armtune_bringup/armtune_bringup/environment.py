"""What a node process needs in its environment, and where its program is."""

from __future__ import annotations

import fcntl
import importlib.util
import itertools
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from armtune_policies.contract import ConfigError
from armtune_policies.store.files import write_whole

from .spec import NodeSpec

PROFILE, UNSHARED, FAST_DDS = "fastdds_loopback.xml", "fastdds_unshared.xml", "rmw_fastrtps_cpp"
PROFILES_FILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
DOMAINS = range(233)
"""Domain ids whose ports fit below 65536."""
SEATS = range(32, 62)
"""Participant ids of nodes that are started again: the last of those that discovery looks for
(``maxInitialPeersRange``), of which every domain has the ports."""
_seats = itertools.cycle(SEATS)
_PARTICIPANT = 'is_default_profile="true"><rtps>'

# Keep freed tensors on the heap: glibc otherwise returns each to the kernel and faults it
# back in. +20 to 45 % on learner updates.
LEARNER_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_TOP_PAD_": "67108864",
}


def domain() -> int:
    """Return the ROS domain of this shell, 0 when it names none.

    Raises:
        ConfigError: when ``ROS_DOMAIN_ID`` is not a number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not (text.isascii() and text.isdigit() and int(text) in DOMAINS):
        raise ConfigError(f"ROS_DOMAIN_ID: expected a number from 0 to {DOMAINS[-1]}, got {text!r}")
    return int(text)


def profile(name: str = PROFILE) -> Path:
    """Return a Fast DDS profile: the checkout's, or the installed copy.

    Raises:
        FileNotFoundError: when there is none.
    """
    beside = Path(__file__).resolve().parents[1] / "config" / name
    installed = [Path(prefix) / "share/armtune_bringup/config" / name for prefix in prefixes()]
    for path in (beside, *installed):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} is not installed; run `make build`, or source install/setup.bash")


def prefixes() -> list[str]:
    """Return the install prefixes to look in, the sourced ones first."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [prefix for prefix in dict.fromkeys([*sourced, sys.prefix]) if prefix]


def ros_environment(domain_id: int, log_folder: Path | None = None, shares_memory: bool = True) -> dict[str, str]:
    """Return the variables that make ROS talk on this machine only, on one domain.

    A profile, discovery range or RMW the user set stays. What a person may kill at any time and takes no images shares
    no memory: killed in there it may leave a graph that the next one does not hear.

    Raises:
        ConfigError: when the profile the user set is not there: Fast DDS would then talk on every network.
    """
    named = os.environ.get(PROFILES_FILE) or str(profile())
    if not Path(named).is_file():
        raise ConfigError(
            f"{PROFILES_FILE}: expected a file, got {named}; unset it, or write one by `armtune link write`"
        )
    wanted = {
        "AMENT_PREFIX_PATH": os.pathsep.join(prefixes()),
        PROFILES_FILE: named if shares_memory else _unshared(named),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or _range(),
        "ROS_DOMAIN_ID": str(domain_id),
        "PYTHONUNBUFFERED": "1",
        "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] [{time}] {message}",
    }
    if log_folder is not None:
        wanted["ROS_LOG_DIR"] = str(log_folder)
    return wanted


def lone_environment(domain_id: int) -> dict[str, str]:
    """Return the variables of a command that may be killed beside a graph: who dies sharing memory may block others."""
    made = ros_environment(domain_id)
    return {**made, PROFILES_FILE: str(profile(UNSHARED))} if made[PROFILES_FILE] == str(profile()) else made


def node_environment(spec: NodeSpec, base: Mapping[str, str], again: Path | None = None) -> dict[str, str]:
    """Return the variables of one node: what all have, what its row adds, no shared memory where it asks for that.

    Args:
        again: Where to write the profile of a node that is started again. One that shares memory must not be heard at
            its predecessor's port: who wrote there may do so for good, to nobody (eProsima/Fast-DDS#4728).
    """
    made = {**base, **dict(spec.environment)}
    if not spec.shares_memory:
        made[PROFILES_FILE] = _unshared(made[PROFILES_FILE])
    elif again:
        made[PROFILES_FILE] = _seated(made[PROFILES_FILE], again)
    return made


def _seated(named: str, file: Path) -> str:
    """Write the profile in use with the next participant id, which its ports follow from; return the file.

    A profile that is not made from ours stays, and any where the disk is full: a node must start all the same.
    """
    try:
        text = Path(named).read_text(encoding="utf-8")
        if _PARTICIPANT not in text or "<participantID>" in text:
            return named
        into = f"{_PARTICIPANT}<participantID>{next(_seats)}</participantID>"
        write_whole(file, text.replace(_PARTICIPANT, into, 1).encode())
    except OSError:
        return named
    return str(file)


def _unshared(named: str) -> str:
    """Return the profile without shared memory beside the one in use, if there is one: a user's own stays."""
    beside = Path(named).with_name(UNSHARED)
    return str(beside) if beside.is_file() else named


def is_secured() -> bool:
    """Whether ROS security is on: then each node has the keys of its own enclave."""
    return os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true"


def _range() -> str:
    """Our profile keeps Fast DDS on loopback by itself; another middleware does not read it."""
    return "SYSTEM_DEFAULT" if os.environ.get("RMW_IMPLEMENTATION", FAST_DDS) == FAST_DDS else "LOCALHOST"


def command(package: str, executable: str) -> list[str]:
    """Return how to start a node's program: the installed one, else its module.

    Raises:
        ConfigError: when neither exists.
    """
    for prefix in prefixes():
        program = Path(prefix) / "lib" / package / executable
        if program.is_file() and os.access(program, os.X_OK):
            return [str(program)]
    module = f"{package}.{executable}"
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigError(f"{package} has no program {executable}; run `make build`, or source install/setup.bash")
    return [sys.executable, "-m", module]


def is_claimed(domain_id: int) -> bool:
    """Whether a graph of ours runs on a domain, on this machine."""
    try:
        os.close(claim(domain_id))
    except ConfigError:
        return True
    return False


def claim(domain_id: int) -> int:
    """Hold a domain for one graph; return the descriptor that holds it while it is open.

    Raises:
        ConfigError: when another graph of ours is on this domain.
    """
    path = Path(tempfile.gettempdir()) / f"armtune-graph-{domain_id}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        raise ConfigError(
            f"ROS domain {domain_id} belongs to another user's graph ({path}); set ROS_DOMAIN_ID to a free number"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(
            f"another graph runs on ROS domain {domain_id}; stop it, or set ROS_DOMAIN_ID to a free number"
        ) from None
    return descriptor
