"""F45: far more messages than anybody sends, and one that claims to be huge."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from casebook import Case
from rclpy.serialization import serialize_message
from rig import FaultStack
from sensor_msgs.msg import Image

from armtune_interfaces.msg import Proposal
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS

FLOOD_HZ, FLOOD, GROWTH_MB = 10_000, 30_000, 30.0
CLAIM = 500_000_000

pytestmark = [pytest.mark.slow, pytest.mark.fault("F45")]


def held_mb(pid: int) -> float:
    """What a process holds in memory; from now on its peak is counted anew (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status_mb(pid, "VmRSS")


def status_mb(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def test_nobody_ends_or_grows_when_proposals_flood_in(cycling: FaultStack, case: Case) -> None:
    """What it leaves of the processors is another matter: practice goes on, or is held or stopped for silence."""
    case.by(f"{FLOOD} proposals that hold no lease, up to {FLOOD_HZ} a second")
    graph = cycling
    flood = graph.stack.publisher(graph.full(topics.proposal("teleop")), Proposal, COMMAND_QOS)
    stray = Proposal(source="teleop", values=[0.0] * 7)
    pids, refused = graph.up.nodes(), sum(graph.refusals().values())
    before_mb = held_mb(pids["gate_node"])
    since_ns, sent = time.monotonic_ns(), 0
    while sent < FLOOD:  # a slow machine takes longer
        due = min(FLOOD, round((time.monotonic_ns() - since_ns) / 1e9 * FLOOD_HZ))
        while sent < due:
            flood.publish(stray)
            sent += 1
        time.sleep(0.001)
    graph.wait(lambda: sum(graph.refusals().values()) > refused, "refused and counted")
    case.nothing("a node ends", ended(graph, pids))
    case.nothing("memory grows", status_mb(pids["gate_node"], "VmHWM") - before_mb > GROWTH_MB)
    case.nothing(
        "a stray proposal is acted on", [d for _, d in graph.decisions.since(since_ns) if d.source == "teleop"]
    )
    graph.stack.node.destroy_publisher(flood)


def ended(graph: FaultStack, pids: dict[str, int]) -> dict[str, int]:
    """Which of these processes are there no more."""
    now = graph.up.nodes()
    return {name: pid for name, pid in pids.items() if now.get(name) != pid}


def test_nobody_ends_or_grows_when_a_picture_claims_to_be_huge(cycling: FaultStack, case: Case) -> None:
    case.by(f"pictures of which the header claims {CLAIM // 1_000_000} MB, beside the camera's")
    graph = cycling
    nodes = ("policy_node", "recorder_node")
    pids = graph.up.nodes()
    before_mb = {node: held_mb(pids[node]) for node in nodes}
    camera = graph.config.camera.names[0]
    publisher = graph.stack.publisher(graph.full(topics.image(camera)), Image, CAMERA_QOS)
    graph.wait(lambda: publisher.get_subscription_count() >= len(nodes), "who looks at pictures")
    whole = Image(height=20_000, width=8_333, encoding="rgb8", step=24_999, data=b"\1" * 1000)
    for message in (whole, claiming(whole)):
        for _ in range(20):
            publisher.publish(message)
            time.sleep(0.05)  # twenty a second
    graph.stack.node.destroy_publisher(publisher)
    case.nothing("a node ends", ended(graph, pids))
    grown_mb = {node: status_mb(pids[node], "VmHWM") - before_mb[node] for node in nodes}
    case.nothing("memory grows", {node: mb for node, mb in grown_mb.items() if mb > GROWTH_MB})


def claiming(image: Image) -> bytes:
    """A message whose bytes say that far more of them follow."""
    data = bytearray(serialize_message(image))
    size = struct.pack("<I", len(image.data))
    at = data.rindex(size, 0, len(data) - len(image.data))
    data[at : at + 4] = struct.pack("<I", CLAIM)
    return bytes(data)
