"""A live page's socket on a real server: what it gets, when it ends, how it says STOP."""

from __future__ import annotations

import contextlib
import json
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from armtune_console import access
from armtune_console.access import SESSIONS
from armtune_console.web.shelf import MOST
from fixtures.console import Served, answering, frame, live, look, serve, stops

pytestmark = [pytest.mark.fault("F60"), pytest.mark.unhurried]


def test_live_page_gets_how_things_stand_and_only_new_pictures(root: Path) -> None:
    with serve(root) as served, live(served.port, served.browser().come_in()) as page:
        assert look(page)[1] == [] and served.film.is_watched
        for value in (1, 2, 3):
            served.film.put("front", frame(value=value))
        said, (picture,) = look(page)
        assert said["robot"] == "arm" and said["viewers"] == 1 and picture[:2] == b"\xff\xd8"
        for text in ('["front"]', "[]", "no json", '{"a": 1}', '["../x"]'):
            assert look(page, text)[1] == []


def test_live_page_ends_with_its_session_and_the_next_one_stops(local: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = local.browser().come_in()
    with live(local.port, browser) as page:
        look(page)
        monkeypatch.setattr(access, "SESSION_S", -1.0)
        with pytest.raises(ConnectionClosed):
            look(page)
        assert browser.ask("/api/session").status == 401 and not stops(local, browser)
    monkeypatch.undo()
    assert stops(local, local.browser().come_in())


def test_tab_with_the_word_before_stops_once_it_has_read_the_new_one(local: Served) -> None:
    first, second = local.browser().come_in(), local.browser().come_in()
    second.cookies = first.cookies  # a tab beside came in anew
    assert second.ask("/api/act/stop", {}).status == 403
    second.word = second.ask("/api/session").said["word"]
    assert stops(local, second)


def test_session_of_a_live_page_outlives_any_number_of_new_ones(local: Served) -> None:
    browser, others = local.browser().come_in(), local.browser()
    with live(local.port, browser) as page:
        for number in range(SESSIONS + 10):
            if number % 50 == 0:
                look(page)
            others.cookies.clear()
            assert others.ask("/").status == 200
        look(page)
    assert stops(local, browser)


def test_stop_by_the_live_socket_needs_the_word_and_waits_for_no_picture(local: Served) -> None:
    browser, over = local.browser().come_in(), answering(local, True, "stopped")
    try:
        with live(local.port, browser) as page, local.film._cameras["front"].lock:
            for word in ("guessed", "\ud800", None, 7):
                page.send(json.dumps({"act": "stop", "word": word}))
                assert not json.loads(page.recv(timeout=5.0)).get("by")
            page.send('["front"]')
            page.send(json.dumps({"act": "stop", "word": browser.word}))
            told = json.loads(page.recv(timeout=5.0))
    finally:
        over.set()
    assert told == {"act": "stop", "by": "gate_node", "done": True, "why": "stopped"}
    assert local.noted[-1][1:] == ("stop", True, "stopped")


def test_questions_that_wait_for_the_archive_hold_up_no_live_page_and_are_bounded(local: Served) -> None:
    browser = local.browser().come_in()
    with ThreadPoolExecutor(max_workers=MOST + 4) as crowd, live(local.port, browser) as page:
        with local.clerk._lock:
            asked = [crowd.submit(browser.ask, "/api/models") for _ in range(MOST + 4)]
            wait(asked, timeout=20.0, return_when=FIRST_COMPLETED)
            local.film.put("front", frame(value=7))
            look(page)
        answers = [one.result(timeout=20.0) for one in asked]
    refused = [answer.said["why"] for answer in answers if answer.status == 503]
    assert refused == [f"{MOST} questions wait for the archive already; try again"] * 4
    assert [answer.status for answer in answers].count(200) == MOST


def test_viewer_that_does_not_ask_gets_nothing_and_costs_nothing(local: Served) -> None:
    browser = local.browser().come_in()
    with live(local.port, browser) as frozen, live(local.port, browser) as awake:
        look(frozen)
        before = local.film.encoded
        for value in range(5):
            local.film.put("front", frame(value=value))
            look(awake)
        assert 1 <= local.film.encoded - before <= 5
        with pytest.raises(TimeoutError):
            frozen.recv(timeout=0.3)


def test_more_viewers_than_may_are_refused_and_those_who_leave_make_room(root: Path) -> None:
    with serve(root, viewers=2) as served:
        browser = served.browser().come_in()
        with live(served.port, browser) as first, live(served.port, browser) as second:
            look(first), look(second)
            with live(served.port, browser) as one, pytest.raises(ConnectionClosed, match="2 live pages are open"):
                one.recv(timeout=5.0)
        end_s = time.monotonic() + 5.0
        while served.counter.viewers:
            assert time.monotonic() < end_s, "viewers that left are forgotten"
            time.sleep(0.01)
        with live(served.port, browser) as third:
            look(third)


@pytest.mark.parametrize("odd", (b"no text", "[" * 1024, "[" * 60_000))
def test_what_no_page_says_ends_at_most_its_own_link(root: Path, capfd: pytest.CaptureFixture[str], odd: Any) -> None:
    with serve(root) as served, live(served.port, browser := served.browser().come_in()) as beside:
        for path in ("live", "teleop/ws"):
            with live(served.port, browser, path=path) as page, contextlib.suppress(ConnectionClosed):
                page.send(odd)
                page.recv(timeout=5.0)
        look(beside)
    assert "Traceback" not in capfd.readouterr().err
