"""Other people's live views, where their packages are installed."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sensor_msgs.msg import JointState
from websockets.sync.client import connect

from armtune_console import facts
from armtune_console.board import Board
from armtune_console.film import Film
from armtune_console.metrics import exposition
from armtune_console.settings import ConsoleParams
from armtune_console.views import open_views
from armtune_interfaces import msg
from armtune_policies.contract import SteadyClock, Verdict
from fixtures.console import frame

pytestmark = pytest.mark.unhurried

SHIPPED = Path(__file__).resolve().parents[2] / "ros_ws/src/armtune_console/views"


def whole() -> dict[str, Any]:
    """Return a board on which everything was said."""
    board = Board(SteadyClock(), {"robot": "arm", "run": "one", "threshold": 0.8, "unsure_above": 0.6})
    told = {"reward": msg.RewardAnswer(verdict=int(Verdict.YES), probability=0.9)}
    told["gate"] = msg.GateState(refusals=["policy:stale"], refusal_counts=[1])
    for kind, (_, name, _, read) in facts.WIRES.items():
        board.put(kind, read(told.get(kind) or {"JointState": JointState}.get(name, getattr(msg, name, None))()))
    board.put("machine", {"disk": {"free_mb": 1}, "temperatures": {"cpu": 50.0}})
    board.put("up", {"gate_node": "active"})
    return {**board.snapshot(), "viewers": 1}


def test_shipped_dashboard_asks_for_nothing_that_is_not_told() -> None:
    text = (SHIPPED / "grafana.json").read_text()
    asked = {name for expr in re.findall(r'"expr": "(.*)"', text) for name in re.findall(r"armtune_\w+", expr)}
    told = text_string_to_metric_families(exposition(whole)().decode())
    assert len(asked) > 10 and asked <= {sample.name for family in told for sample in family.samples}


def test_shipped_layout_shows_nothing_that_is_not_published() -> None:
    text, board = (SHIPPED / "foxglove.json").read_text(), whole()
    assert set(re.findall(r'"(?:imageTopic|topicPath)": "(.*)"', text)) == {"/front", "/armtune/board"}
    paths = re.findall(r'"value": "/armtune/board\.(.*)"', text)
    for path in paths:
        found: Any = board
        for name in path.split("."):
            found = found[name]
        assert isinstance(found, float), path
    assert len(paths) == text.count('"value"') > 3


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def film() -> Film:
    made = Film(("front",), 320, 75, 30.0, SteadyClock())
    made.put("front", frame())
    return made


@pytest.mark.skipif(not importlib.util.find_spec("foxglove"), reason="missing: pip install foxglove-sdk")
def test_foxglove_client_is_offered_the_board_and_the_cameras() -> None:
    port = free_port()
    views = open_views(ConsoleParams(kind="web", foxglove_port=port), ("front",))
    try:
        with connect(f"ws://127.0.0.1:{port}", subprotocols=["foxglove.sdk.v1"]) as client:  # type: ignore[list-item]
            views.show({"step_hz": 5.0}, film(), 10**18)
            topics: set[str] = set()
            while topics != {"/armtune/board", "/front"}:
                said = client.recv(timeout=5.0)
                if isinstance(said, str) and (told := json.loads(said))["op"] == "advertise":
                    topics |= {channel["topic"] for channel in told["channels"]}
    finally:
        views.close()


@pytest.mark.skipif(not importlib.util.find_spec("rerun"), reason="missing: pip install rerun-sdk")
def test_rerun_is_served_where_it_was_asked_for() -> None:
    port = free_port()
    views = open_views(ConsoleParams(kind="web", rerun_port=port), ("front",))
    try:
        views.show({"reward": {"probability": 0.5}}, film(), 10**18)
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    finally:
        views.close()


@pytest.mark.parametrize(("view", "package"), (("foxglove", "foxglove-sdk"), ("rerun", "rerun-sdk")))
def test_view_whose_package_is_missing_says_which(view: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, view, None)
    with pytest.raises(ValueError, match=f"needs the package {package}"):
        open_views(ConsoleParams(kind="web", **{f"{view}_port": 1}), ())
