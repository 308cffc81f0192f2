"""Robot and workstation on one ROS graph: the Fast DDS profiles of a machine, and the discovery server.

Made from the profiles of a single machine, so that buffers and leases are the same: the machine's own address joins
the loopback, and discovery asks one server, on the robot, instead of everyone within reach.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from pathlib import Path

from armtune_policies.contract import ConfigError
from armtune_policies.store.files import write_whole

from .environment import PROFILE, UNSHARED, prefixes, profile

LINKED, SERVER = "fastdds_linked.xml", "fastdds_server.xml"
PORT = 11811
PREFIX = "44.53.00.5f.45.50.52.4f.53.49.4d.41"
"""Of the server with id 0, as Fast DDS' own program has it."""
PROGRAM = "fast-discovery-server"


def write(here: str, server: str, folder: Path, port: int = PORT) -> list[Path]:
    """Write what this machine needs into ``folder``; return the files.

    Args:
        here: This machine's address on the network both share.
        server: The robot's, where the discovery server runs.
        folder: Name its ``fastdds_linked.xml`` in ``FASTRTPS_DEFAULT_PROFILES_FILE``; what looks at no pictures takes
            the profile without shared memory beside it.

    Raises:
        ConfigError: when one is no IPv4 address.
    """
    for name, address in (("this machine", here), ("the discovery server", server)):
        _check(name, address)
    made = {LINKED: PROFILE, UNSHARED: UNSHARED}
    if here == server:
        made[SERVER] = UNSHARED
    for file, source in made.items():
        write_whole(folder / file, _profile(source, here, server, port, is_server=file == SERVER))
    return [folder / file for file in made]


def serve(folder: Path) -> None:
    """Become the discovery server that ``write`` configured in ``folder``; does not return.

    Raises:
        ConfigError: when it was not configured here, or Fast DDS' program is missing.
    """
    config = folder / SERVER
    if not config.is_file():
        raise ConfigError(f"{config} does not exist; on the robot, run: armtune link write ROBOT ROBOT --into {folder}")
    program = next((p for prefix in prefixes() if (p := Path(prefix) / "bin" / PROGRAM).is_file()), None)
    if program is None:
        raise ConfigError(f"{PROGRAM} is not in {', '.join(prefixes())}; run `make build`, or source ROS")
    wheels = [str(path) for path in (program.parents[1] / "lib").glob("python3*/site-packages/ros_fastrtps.libs")]
    libraries = [str(program.parents[1] / "lib"), *wheels, os.environ.get("LD_LIBRARY_PATH", "")]
    sys.stdout.flush()
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    os.execv(program, [str(program), "-i", "0", "-x", str(config)])


def _check(name: str, address: str) -> None:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise ConfigError(f"{name}: expected an IPv4 address such as 10.0.0.1, got {address!r}") from None


def _profile(source: str, here: str, server: str, port: int, is_server: bool) -> bytes:
    """Return a single machine's profile with one address more, and other discovery."""
    at = f"<locator><udpv4><address>{server}</address><port>{port}</port></udpv4></locator>"
    heard_at = f"<metatrafficUnicastLocatorList>{at}</metatrafficUnicastLocatorList>"
    # A super client knows the whole graph, which `ros2 topic list` and our checks of who publishes look at.
    asks = f"""<discoveryProtocol>SUPER_CLIENT</discoveryProtocol>
        <discoveryServersList><RemoteServer prefix="{PREFIX}">{heard_at}</RemoteServer></discoveryServersList>"""
    text = profile(source).read_text(encoding="utf-8")
    for pattern, new in {
        r"<!--.*?-->": "<!-- Made by `armtune link write`. -->",
        r"(<interfaceWhiteList>.*?)(</interfaceWhiteList>)": rf"\1<address>{here}</address>\2",
        r"(?<=<discovery_config>)": "<discoveryProtocol>SERVER</discoveryProtocol>" if is_server else asks,
        r"\s*<metatrafficUnicastLocatorList><locator/>.*</initialPeersList>": heard_at if is_server else "",
        r"(?<=is_default_profile=\"true\"><rtps>)": f"<prefix>{PREFIX}</prefix>" if is_server else "",
    }.items():
        text, count = re.subn(pattern, new, text, count=1, flags=re.DOTALL)
        if not count:
            raise ConfigError(f"{profile(source)}: expected {pattern}; install armtune anew")
    return text.encode()
