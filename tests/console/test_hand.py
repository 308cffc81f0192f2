"""The teleop page's socket on a real server: whose hand reaches the arm's node, and when it is a loss."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from armtune_console import access
from armtune_console.access import Role
from armtune_console.web.hand import socket_of
from fixtures.console import VIEWER, Browser, Ear, Served, handed, live, serve

pytestmark = [pytest.mark.fault("F60"), pytest.mark.unhurried]


@pytest.mark.parametrize(
    ("page", "wanted"),
    (
        ("http://127.0.0.1:8765/", "ws://127.0.0.1:8765/ws"),
        ("http://[::1]:8765/", "ws://[::1]:8765/ws"),
        ("http://Robot.local:8765/", "ws://Robot.local:8765/ws"),
        *((f"http://{at}:8765/", "") for at in ("evil.example", "127.0.0.1@evil.example", "a@127.0.0.1", "[::1", "")),
        *((odd, "") for odd in ("http://127.0.0.1.evil.example/", "//10.0.0.9/", "127.0.0.1:8765", "\0")),
    ),
)
def test_hand_is_looked_for_here_or_where_the_graph_has_it(page: str, wanted: str) -> None:
    assert socket_of(page, "robot.LOCAL") == wanted


def say(line: Any, **inputs: float) -> Any:
    """Say what a hand does; return how things stand."""
    line.send(json.dumps(inputs))
    return json.loads(line.recv(timeout=5.0))


@contextmanager
def hand(port: int, browser: Browser, said: dict[str, Any], **more: Any) -> Iterator[Any]:
    """Open the teleop page's socket, and say who it is."""
    with live(port, browser, path="teleop/ws", **more) as line:
        line.send(json.dumps(said))
        yield line


def test_hand_of_an_operators_page_reaches_the_arms_node_and_its_end_is_a_loss(local: Served) -> None:
    browser = local.browser().come_in()
    with handed(local.board) as (_, ear):
        with hand(local.port, browser, {"word": browser.word}) as line:
            assert say(line, x=0.5, engage=1)["is_operator"] and ear.heard == [{"x", "engage"}]
            assert "unknown input 'fly'" in say(line, fly=1)["refused"]
        gone(ear)


def gone(ear: Ear) -> None:
    """Wait until the arm's node knows that nobody holds the hand."""
    end_s = time.monotonic() + 5.0
    while ear.heard[-1:] != ["the operator's page is gone"]:
        assert time.monotonic() < end_s, "the node was not told that the page is gone"
        time.sleep(0.01)


def test_second_hand_page_moves_nothing_until_the_first_is_gone(local: Served) -> None:
    first, second = local.browser().come_in(), local.browser().come_in()
    with handed(local.board) as (_, ear), hand(local.port, second, {"word": second.word}) as waiting:
        with hand(local.port, first, {"word": first.word}) as holding:
            assert say(holding, x=1.0)["is_operator"]
            told = say(waiting, y=1.0, engage=1)
            assert not told["is_operator"] and "another page has the controls" in told["refused"]
            assert say(holding, z=1.0)["is_operator"] and ear.heard == [{"x"}, {"z"}]
        gone(ear)
        assert say(waiting, y=1.0)["is_operator"] and ear.heard[-1] == {"y"}


@pytest.mark.parametrize("how", ("age", "leaving", "restart"))
def test_hand_of_a_session_that_ends_moves_nothing_more_and_its_end_is_a_loss(
    local: Served, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    browser = local.browser().come_in()
    with handed(local.board) as (_, ear), hand(local.port, browser, {"word": browser.word}) as line:
        assert say(line, x=1.0, engage=1)["is_operator"]
        if how == "age":
            monkeypatch.setattr(access, "SESSION_S", -1.0)
        elif how == "leaving":
            assert browser.ask("/api/leave", {}).status == 200
        else:
            local.door.access._sessions.clear()
        with pytest.raises(ConnectionClosed, match="own page"):
            say(line, y=1.0, engage=1)
        gone(ear)
        assert ear.heard == [{"x", "engage"}, "the operator's page is gone"]


def test_hand_is_not_passed_on_elsewhere_whichever_node_says_so(local: Served) -> None:
    browser, why = local.browser().come_in(), "expected teleop_node on this machine or at teleop.host"
    with handed(local.board) as (port, ear):
        local.board.put_node("teleop_node", {"level": 0, "values": {"page": f"http://127.0.0.2:{port}/"}})
        with hand(local.port, browser, {"word": browser.word}) as line, pytest.raises(ConnectionClosed, match=why):
            line.recv(timeout=5.0)
        assert ear.heard == []


def test_hand_of_a_viewer_a_stranger_or_another_site_moves_nothing(local: Served, root: Path) -> None:
    browser, tokens = local.browser().come_in(), {hashlib.sha256(VIEWER.encode()).digest(): Role.VIEWER}
    with serve(root, tokens) as locked, handed(local.board, locked.board) as (_, ear):
        viewer = locked.browser().come_in(VIEWER)
        for served, who, origin in ((locked, viewer, None), (locked, locked.browser(), None),
                                    (local, browser, "http://evil.example")):  # fmt: skip
            with pytest.raises(InvalidStatus, match="403"), hand(served.port, who, {}, origin=origin):
                pass
        for said in ({"word": "guessed"}, {"x": 1.0}):
            with hand(local.port, browser, said) as line, pytest.raises(ConnectionClosed, match="own page"):
                line.recv(timeout=5.0)
        assert ear.heard == []
    with hand(local.port, browser, {"word": browser.word}) as line, pytest.raises(ConnectionClosed, match="not answer"):
        line.send("{}")
        line.recv(timeout=5.0)
    local.board.put_node("teleop_node", {"level": 0, "values": {}})
    with hand(local.port, browser, {"word": browser.word}) as line, pytest.raises(ConnectionClosed, match="teleop=web"):
        line.recv(timeout=5.0)
