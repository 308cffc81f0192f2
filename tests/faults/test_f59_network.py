"""F59: commands from elsewhere on the network. What the nodes of the live graph have is what is granted to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from casebook import Case
from rig import FaultStack

from armtune_bringup.compose import compose
from armtune_bringup.graph import graph as table
from armtune_bringup.permissions import Granted, granted
from armtune_bringup.spec import RunFacts

pytestmark = pytest.mark.fault("F59")
LOOPBACK = "0100007F:"
ALL_HAVE = {"/rosout", "/parameter_events", "/clock"}


def full(granted: Granted, names: frozenset[str]) -> set[str]:
    """Names as the graph has them."""
    roots = {"~": f"{granted.namespace}/{granted.node}", "/": ""}
    return {roots[n[0]] + n.removeprefix("~") if n[0] in roots else f"{granted.namespace}/{n}" for n in names}


def test_no_node_of_the_live_graph_has_more_than_it_is_granted(graph: FaultStack, case: Case) -> None:
    case.by("what each node of the live graph says, hears, serves and asks")
    facts = RunFacts("r", "runs/r", "0")
    rows = table(compose([*graph._overrides, "policy.folder=p", "reward.folder=r", "sim.faults=true"]), "sim", facts)
    node, more = graph.stack.node, {}
    for one in granted(rows, graph.config.camera.names):
        if one.node not in {row.name for row in rows}:
            continue
        who = (one.node, one.namespace)
        has = {
            "says": node.get_publisher_names_and_types_by_node(*who),
            "hears": node.get_subscriber_names_and_types_by_node(*who),
            "serves": node.get_service_names_and_types_by_node(*who),
            "asks": node.get_client_names_and_types_by_node(*who),
        }
        assert has["says"], f"{one.node} is not seen"
        actions = full(one, one.runs | one.begins)
        for how, found in has.items():
            names = {name for name, _ in found if name.partition("/_action/")[0] not in actions}
            if left := names - full(one, getattr(one, how)) - ALL_HAVE:
                more[f"{one.node} {how}"] = left
    case.nothing("a node with a topic or service that it is not granted", more)


def test_nobody_listens_beyond_this_machine(graph: FaultStack, case: Case) -> None:
    case.by("every socket of every node")
    open_to_all: dict[str, set[str]] = {}
    for name, pid in graph.up.nodes().items():
        links = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        for kind in ("udp", "udp6", "tcp", "tcp6"):
            rows = [line.split() for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]]
            found = {f"{kind} {row[1]}" for row in rows if row[9] in inodes and not row[1].startswith(LOOPBACK)}
            if found:
                open_to_all.setdefault(name, set()).update(found)
    case.nothing("a socket bound beyond loopback", open_to_all)


NO_KEYS = re.compile(r"doesn't have the security libraries|SECURITY ERROR")
"""What a middleware says that has no security, as that of the wheels, and one that has it."""


def test_security_that_the_middleware_lacks_is_an_error_not_a_graph_without_it(case: Case, tmp_path: Path) -> None:
    case.by("ROS_SECURITY_ENABLE with Enforce and no keys")
    (tmp_path / "enclaves").mkdir()
    code = "import rclpy; rclpy.init(); rclpy.create_node('x'); print('made')"
    env = {**os.environ, "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce",
           "ROS_SECURITY_KEYSTORE": str(tmp_path)}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    case.nothing("a node without keys where security is on", "made" in done.stdout)
    assert done.returncode != 0 and NO_KEYS.search(done.stderr), done.stderr
