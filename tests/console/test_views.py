"""Other people's live views, where their packages are installed."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys

import pytest
from websockets.sync.client import connect

from armtune_console.film import Film
from armtune_console.settings import ConsoleParams
from armtune_console.views import open_views
from armtune_policies.contract import SteadyClock
from fixtures.console import frame

pytestmark = pytest.mark.unhurried


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
