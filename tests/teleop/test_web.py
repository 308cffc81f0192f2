"""The operator's page: its protocol, who may connect, and an episode shown in headless Chromium."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_teleop.devices import Gone, Inbox
from armtune_teleop.web import Link, Server, page
from armtune_teleop.web.link import INPUTS, read
from fixtures.browser import chromium, needs_browser, until, without_browser
from fixtures.console import handed
from fixtures.teleop import ALONE, KeyHand, Person, TeleopStack, show


@pytest.mark.fault("F60")
@pytest.mark.parametrize(
    ("text", "why"),
    (
        ("x", "expected JSON"),
        ("[1]", "expected an object of inputs, got list"),
        ('{"x": NaN}', "x: expected a number in"),
        ('{"x": 1.5}', "x: expected a number in"),
        ('{"x": true}', "x: expected a number in"),
        ('{"fly": 1}', "unknown input 'fly'; known: x, y"),
        ("[" * 4000, "expected"),
        (" " * 5000, "expected at most 4096 characters"),
    ),
)
def test_message_that_is_none_is_refused_in_a_sentence(text: str, why: str) -> None:
    reading, said = read(text)
    assert reading == {} and why in said


@given(st.text(max_size=200) | st.dictionaries(st.text(max_size=8), st.floats() | st.text(max_size=8)).map(json.dumps))
def test_no_message_gives_more_than_known_inputs_within_their_range(text: str) -> None:
    reading, why = read(text)
    assert set(reading) <= set(INPUTS) and all(-1.0 <= value <= 1.0 for value in reading.values())
    assert not (reading and why)


def test_first_page_has_the_controls_until_it_leaves_and_that_is_no_release() -> None:
    inbox = Inbox()
    link, first, second = Link(inbox), object(), object()
    assert link.take(first, '{"x": 0.5, "engage": 1}') == ""
    assert "another page has the controls" in link.take(second, "{}")
    assert inbox.poll() == {"x": 0.5, "engage": 1.0}
    link.leave(second)
    assert inbox.poll() is None
    link.leave(first)
    with pytest.raises(Gone, match="the operator's page is gone"):
        inbox.poll()
    assert inbox.poll() is None
    assert link.take(second, '{"x": 0.1}') == ""


@pytest.fixture
def served() -> Iterator[tuple[int, Inbox, Link]]:
    inbox = Inbox()
    link = Link(inbox)
    # below another application, as behind a proxy
    server = Server(Starlette(routes=[Mount("/teleop", page(link, ["robot.local"]))]), "127.0.0.1", 0)
    yield server.port, inbox, link
    server.close()


def test_port_that_is_taken_is_named_with_what_to_do(served: Any) -> None:
    with pytest.raises(OSError, match="Address already in use; name another port"):
        Server(Starlette(), "127.0.0.1", served[0])


def test_page_works_where_it_is_mounted_and_answers_with_how_things_stand(served: Any) -> None:
    port, inbox, link = served
    link.say({"engaged": False, "said": "hello"})
    with connect(f"ws://127.0.0.1:{port}/teleop/ws") as line:
        line.send('{"x": 1}')
        answer = json.loads(line.recv(timeout=5.0))
        assert answer == {"engaged": False, "said": "hello", "is_operator": True, "refused": ""}
        assert inbox.poll() == {"x": 1.0}
    end_s = time.monotonic() + 5.0
    with pytest.raises(Gone):
        while inbox.poll() is None:
            assert time.monotonic() < end_s, "a page that left is gone"


@pytest.mark.fault("F60")
def test_page_of_another_site_may_not_connect(served: Any) -> None:
    port, _, _ = served
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}/teleop/ws", origin="http://elsewhere.example")  # type: ignore[arg-type]
    own = f"http://127.0.0.1:{port}"
    with connect(f"ws://127.0.0.1:{port}/teleop/ws", origin=own) as line:  # type: ignore[arg-type]
        line.send("{}")
        assert json.loads(line.recv(timeout=5.0))["is_operator"]


@pytest.mark.fault("F60")
def test_name_that_is_not_ours_is_refused_for_the_page_and_its_socket(served: Any) -> None:
    """DNS rebinding: a browser believes that another site's name is this machine, origin and host agree."""
    port, _, _ = served
    evil = f"evil.example:{port}"
    ours = [("127.0.0.1", 200), (f"localhost:{port}", 200), ("robot.local", 200), (evil, 400), ("", 400)]
    for host, status in ours:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
        line.request("GET", "/teleop/", headers={"Host": host})
        assert line.getresponse().status == status, host
        line.close()
    there = socket.create_connection(("127.0.0.1", port))
    with pytest.raises(InvalidStatus, match="400"):
        connect(f"ws://{evil}/teleop/ws", sock=there, origin=f"http://{evil}")  # type: ignore[arg-type]
    there.close()
    there = socket.create_connection(("127.0.0.1", port))
    with connect(f"ws://robot.local:{port}/teleop/ws", sock=there) as own:
        own.send("{}")
        assert json.loads(own.recv(timeout=5.0))["is_operator"]


@pytest.mark.slow
@needs_browser
def test_page_loses_no_press_leaves_the_browser_its_shortcuts_and_is_gone_when_it_is_not_looked_at() -> None:
    with handed() as (port, ear), chromium() as browser:
        tab = browser.new_page()
        tab.goto(f"http://127.0.0.1:{port}/")
        until(lambda: bool(ear.heard))
        for _ in range(10):
            tab.keyboard.press("n")  # down and up at once
        until(lambda: [one == {"start"} for one in ear.heard].count(True) >= 10)
        for modifier in ("Control", "Alt", "Meta"):
            tab.keyboard.press(f"{modifier}+b")
        tab.keyboard.press("y")
        until(lambda: {"success"} in ear.heard)
        assert {"again"} not in ear.heard
        tab.evaluate("dispatchEvent(new Event('blur'))")
        tab.keyboard.down(" ")
        until(lambda: ear.heard[-1] == {"engage"})
        assert not [one for one in ear.heard if isinstance(one, str)], "it is no loss where nothing is held"
        tab.evaluate("dispatchEvent(new Event('blur'))")
        until(lambda: "the operator's page is gone" in ear.heard)


class SocketHand(Person):
    """Speaks the page's protocol without a browser."""

    def __init__(self, port: int) -> None:
        self._socket, self._engaged = connect(f"ws://127.0.0.1:{port}/ws").__enter__(), 0

    def _send(self, **inputs: float) -> None:
        self._socket.send(json.dumps({"engage": self._engaged, **inputs}))
        self._socket.recv(timeout=5.0)

    def move(self, gap_m: np.ndarray) -> None:
        self._send(**dict(zip("xyz", np.clip(gap_m / 0.06, -1, 1).tolist())))

    def press(self, action: str) -> None:
        for down in (1.0, 1.0, 0.0):
            self._send(**{action: down})
            time.sleep(0.05)

    def engage(self, on: bool) -> None:
        self._engaged = int(on)
        self._send()


class BrowserHand(KeyHand):
    """Presses keys in a real browser."""

    def __init__(self, keyboard: Any) -> None:
        super().__init__()
        self._keyboard, self._down = keyboard, [""] * 3

    def hold(self, axis: int, key: str) -> None:
        if key != (before := self._down[axis]):
            if before:
                self._keyboard.up(before)
            if key:
                self._keyboard.down(key)
            self._down[axis] = key

    def tap(self, key: str) -> None:
        self._keyboard.press(key, delay=100)

    def engage(self, on: bool) -> None:
        (self._keyboard.down if on else self._keyboard.up)(" ")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopStack]:
    with TeleopStack(
        tmp_path_factory.mktemp("web"), "teleop=web", "teleop.port=0", "console=local", "console.port=0",
        "episode.countdown=0", *ALONE
    ) as running:  # fmt: skip
        yield running


def address(graph: TeleopStack, of: str) -> str:
    (line,) = [line for line in graph.up.lines if f"{of} is at" in line]
    return str(line.split(" at ")[1].strip())


@pytest.mark.slow
@needs_browser
def test_episode_is_shown_on_the_consoles_page_in_headless_chromium_and_saved(graph: TeleopStack) -> None:
    session = graph.session("--no-film")
    try:
        with chromium() as browser:
            tab = browser.new_page()
            tab.goto(f"{address(graph, 'the console')}teleop")
            tab.wait_for_function("() => document.querySelector('#state')?.textContent.startsWith('released')")
            hand = BrowserHand(tab.keyboard)
            hand.press("slower")
            show(graph, hand)
            assert "success, says the operator" in tab.locator("#state").inner_text()
        session.until_said(r"one-\d+ forward: success, \d+ steps")
    finally:
        session.kill()
    episode = read_episode(list_episodes(graph.up.run)[-1])
    assert episode.outcome == "success" and "teleop" in episode.sources


@pytest.mark.slow
@without_browser
def test_episode_is_shown_by_the_pages_protocol_and_saved(graph: TeleopStack) -> None:
    session = graph.session("--no-film")
    try:
        show(graph, SocketHand(int(address(graph, "the operator's page").rstrip("/").rsplit(":", 1)[1])))
        session.until_said(r"one-\d+ forward: success, \d+ steps")
    finally:
        session.kill()
    assert read_episode(list_episodes(graph.up.run)[-1]).outcome == "success"
