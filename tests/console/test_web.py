"""The web app on a real server: who may what, what is refused, what a live page gets."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from armtune_console import access
from armtune_console.access import SESSIONS, Role, read_tokens
from armtune_console.web.guard import MAX_BODY
from armtune_console.web.hand import socket_of
from armtune_console.web.shelf import MOST
from armtune_policies.transfer import patience
from armtune_teleop.web import Server
from fixtures.console import Browser, Ear, Served, frame, handed, serve, write_run

BEGUN_STOP = b"POST /api/act/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
pytestmark = pytest.mark.fault("F60")

VIEWER, OPERATOR = "look-at-me-0123456789", "let-me-steer-0123456789"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_run(folder, "first", "st")
    (folder / "secret.txt").write_text("nobody reads this")
    return folder


@pytest.fixture(scope="module")
def local(root: Path) -> Iterator[Served]:
    """A console for this machine, without tokens."""
    with serve(root) as served:
        yield served


@pytest.fixture(scope="module")
def locked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console that asks for tokens."""
    path = tmp_path_factory.mktemp("locked") / "tokens"
    path.write_text(f"viewer {VIEWER}\noperator {OPERATOR}\n")
    path.chmod(0o600)
    with serve(root, read_tokens(path)) as served:
        yield served


def answering(served: Served, done: bool, why: str) -> threading.Event:
    """Answer whatever is asked, as a node does; until the event is set."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(timeout=0.01):
            for wish in served.desk.take():
                wish.say(done, why)

    threading.Thread(target=work, daemon=True).start()
    return over


def test_every_page_is_there_with_its_assets_and_may_load_nothing_from_elsewhere(local: Served) -> None:
    browser = local.browser().come_in()
    for path in ("/", "/progress", "/audit", "/browse", "/teleop", "/login"):
        answer = browser.ask(path)
        assert answer.status == 200 and "default-src 'self'" in answer.headers["content-security-policy"]
        for asset in {part.split('"')[0] for part in answer.body.decode().split('"/static/')[1:]}:
            found = browser.ask(f"/static/{asset}")
            assert found.status == 200 and b"http://" not in found.body.replace(b"http://www.w3.org", b""), asset


def test_request_is_acknowledged_by_the_node_and_noted(local: Served) -> None:
    browser, over = local.browser().come_in(), answering(local, False, "cannot arm: not yet")
    try:
        told = browser.ask("/api/act/arm", {"boot_id": "12"}).said
    finally:
        over.set()
    assert told == {"act": "arm", "by": "gate_node", "done": False, "why": "cannot arm: not yet"}
    assert local.noted[-1][1:] == ("arm", False, "cannot arm: not yet")
    assert browser.ask("/api/act/fly", {}).status == 400 and browser.ask("/api/act/arm", {}).status == 400


def test_prometheus_needs_no_cookie_where_no_token_is_asked_for(local: Served) -> None:
    assert b"armtune_alive" in local.browser().ask("/metrics").body


def test_nothing_is_changed_but_from_our_own_page(local: Served) -> None:
    browser = local.browser().come_in()
    assert browser.ask("/api/act/stop", {}, origin="http://evil.example").status == 403
    assert browser.ask("/api/act/stop", {}, origin="null").status == 403
    browser.word = "guessed"
    assert browser.ask("/api/act/stop", {}).status == 403
    for scheme in ("Basic x", "Bearer", "x"):
        assert browser.ask("/api/act/stop", {}, authorization=scheme).status == 403
    assert browser.ask("/api/act/stop", {}, origin="http://evil.example", authorization="Bearer x").status == 403
    assert local.browser().ask("/api/act/stop", {}).status == 401
    assert local.desk.take() == []
    assert browser.ask("/", host="evil.example").status == 421
    with pytest.raises(InvalidStatus, match="403"):
        live(local.port, browser, origin="http://evil.example")
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{local.port}/live")


@pytest.mark.parametrize(
    "path",
    ("/static/..%2fapp.py", "/static/../app.py", "/static/%2e%2e/guard.py", "/download/..%2f..%2fsecret.txt/x",
     "/download/first/..%2f..%2fsecret.txt", "/download/first/secret", "/download/../secret.txt",
     "/api/runs/..%2fsecret.txt", "/api/runs/%2e%2e/config", "/api/runs/first/episodes/..%2f..%2fsecret.txt",
     "/api/runs/first/episodes/first-00000/frames/..%2fx/0", "//etc/passwd", "/download/%00/x"),
)  # fmt: skip
def test_no_address_leads_to_the_disk(local: Served, path: str) -> None:
    browser = local.browser().come_in()
    connection = http.client.HTTPConnection("127.0.0.1", local.port, timeout=20.0)
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    connection.request("GET", path, headers={"cookie": cookie})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status in (404, 400) and b"nobody reads" not in body and b"import" not in body
    connection.close()


def test_episode_is_downloaded_by_its_id_whole(local: Served, root: Path) -> None:
    answer = local.browser().come_in().ask("/download/first/first-00000")
    assert answer.body == (root / "first/episodes/first-00000.mcap").read_bytes()
    assert 'filename="first-00000.mcap"' in answer.headers["content-disposition"]


@pytest.mark.parametrize("announced", [True, False])
def test_oversized_upload_is_refused_and_not_kept(local: Served, announced: bool) -> None:
    browser = local.browser().come_in()
    connection = http.client.HTTPConnection("127.0.0.1", local.port, timeout=20.0)
    headers = {"cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()), "x-armtune-word": browser.word}
    chunk = b"x" * 8192
    if announced:
        connection.request("POST", "/api/act/stop", chunk * 10_000, headers)
    else:
        connection.request(
            "POST", "/api/act/stop", iter([chunk] * (MAX_BODY // 8192 + 2)), headers, encode_chunked=True
        )
    answer = connection.getresponse()
    assert answer.status == 413 and json.loads(answer.read())["why"] == f"expected at most {MAX_BODY} bytes"
    connection.close()
    assert local.desk.take() == []


@pytest.mark.parametrize("begun", (b"", b"GET / HTTP/1.1\r\nHost: 127", BEGUN_STOP))
def test_client_that_does_not_finish_its_request_is_hung_up_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(patience, "ASK_S", 0.2)
    with serve(root) as served, live(served.port, served.browser().come_in()) as page:
        with socket.create_connection(("127.0.0.1", served.port), timeout=10.0) as slow:
            slow.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                while slow.recv(1 << 16):
                    pass
        look(page)


def test_answer_to_what_is_no_http_says_nothing_of_us(local: Served) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 70_000, b"GET /\xff HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", local.port), timeout=10.0) as client:
            said = b""
            with contextlib.suppress(OSError):
                client.sendall(noise)
                while got := client.recv(1 << 16):
                    said += got
        assert b"Traceback" not in said and b"File" not in said and len(said) < 1000
    assert stops(local, local.browser().come_in())


def test_wrong_token_is_refused_and_tries_are_counted(locked: Served) -> None:
    browser = locked.browser()
    assert browser.ask("/").headers["location"] == "/login" and browser.ask("/api/runs").status == 401
    assert browser.ask("/metrics").status == 401 and browser.ask("/login").status == 200
    viewer, operator = locked.browser().come_in(VIEWER), locked.browser().come_in(OPERATOR)
    assert viewer.ask("/").status == 200
    assert viewer.ask("/metrics").status == 200 and b"armtune_alive" in viewer.ask("/metrics").body
    for program, status in ((VIEWER, 200), ("nobody-0123456789", 401)):
        assert locked.browser().ask("/metrics", authorization=f"Bearer {program}").status == status
    over = answering(locked, True, "")
    try:
        assert viewer.ask("/api/act/arm", {"boot_id": "1"}).status == 403
        assert viewer.ask("/api/runs/first/audit", {"episode": "first-00000", "step": 0, "truth": "yes"}).status == 403
        assert viewer.ask("/api/act/stop", {}).said["done"], "whoever may look may stop"
        assert operator.ask("/api/act/arm", {"boot_id": "1"}).said["done"]
    finally:
        over.set()
    assert operator.ask("/api/leave", {}).status == 200 and operator.ask("/api/runs").status == 401
    tries = [browser.ask("/api/enter", {"token": f"wrong-token-{number:08d}"}).status for number in range(6)]
    assert set(tries) == {401, 429} and tries[-1] == 429


def test_token_is_not_guessed_by_header_and_a_session_still_stops(root: Path) -> None:
    with serve(root, {hashlib.sha256(OPERATOR.encode()).digest(): Role.OPERATOR}) as served:
        browser, program = served.browser().come_in(OPERATOR), served.browser()
        for _ in range(20):
            assert program.ask("/api/session", authorization=f"Bearer {OPERATOR}").status == 200
        tries = [
            program.ask(path, body, authorization=f"Bearer wrong-token-{number:08d}").status
            for number, (path, body) in enumerate([("/metrics", None), ("/api/act/stop", {})] * 4)
        ]
        assert tries[:3] == [401] * 3 and tries[-3:] == [429] * 3
        assert program.ask("/metrics", authorization=f"Bearer {OPERATOR}").status == 429, "a right one is no answer"
        assert stops(served, browser)


def test_stop_of_nobody_is_slowed(root: Path) -> None:
    with serve(root, per_s=5.0) as served:
        assert 429 in [served.browser().ask("/api/act/stop", {}).status for _ in range(12)]


def test_thousand_requests_at_once_are_slowed_and_a_stop_still_comes_through(root: Path) -> None:
    with serve(root, per_s=50.0) as served:
        browser, over = served.browser().come_in(), answering(served, True, "stopped")
        cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
        one = f"GET /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
        said, started_s = b"", time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", served.port), timeout=20.0) as flood:
                threading.Thread(target=flood.sendall, args=(one * 1000,), daemon=True).start()
                while said.count(b"HTTP/1.1 ") < 1000:
                    said += flood.recv(1 << 16)
                    if said.count(b"HTTP/1.1 ") in range(300, 400):
                        asked_s = time.monotonic()
                        assert browser.ask("/api/act/stop", {}).said["done"]
                        assert time.monotonic() - asked_s < 1.0
        finally:
            over.set()
        took_s = time.monotonic() - started_s
        assert said.count(b"HTTP/1.1 200") <= 50 + 50 * took_s + 1 and said.count(b"HTTP/1.1 429") > 500


def test_tls_serves_and_a_bad_certificate_is_an_error_at_once(root: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    with serve(root, tls_cert=str(cert), tls_key=str(key)) as served:
        browser = served.browser(scheme="https", context=context).come_in()
        assert browser.ask("/api/session").said["role"] == "operator"
    (tmp_path / "bad.pem").write_text("x")
    with pytest.raises(OSError), serve(root, tls_cert=str(tmp_path / "bad.pem"), tls_key=str(key)):
        pass


def test_port_that_is_taken_is_an_error_in_a_sentence(local: Served) -> None:
    with pytest.raises(OSError, match=rf"cannot serve 127.0.0.1:{local.port}: .*; name another port"):
        Server(None, "127.0.0.1", local.port)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine, as docs/console.md says."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


# -- live ----------------------------------------------------------------------------------


def live(port: int, browser: Browser, path: str = "live", **headers: Any) -> Any:
    cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    return connect(f"ws://127.0.0.1:{port}/{path}", additional_headers={"cookie": cookie}, **headers)


def look(page: Any, wanted: str = '["front"]') -> tuple[Any, list[bytes]]:
    """Ask once; return what is said and the pictures."""
    page.send(wanted)
    said = json.loads(page.recv(timeout=5.0))
    return said, [page.recv(timeout=5.0) for _ in said["pictures"]]


def test_live_page_gets_how_things_stand_and_only_new_pictures(root: Path) -> None:
    with serve(root) as served, live(served.port, served.browser().come_in()) as page:
        assert look(page)[1] == [] and served.film.is_watched
        for value in (1, 2, 3):
            served.film.put("front", frame(value=value))
        said, (picture,) = look(page)
        assert said["robot"] == "arm" and said["viewers"] == 1 and picture[:2] == b"\xff\xd8"
        for text in ('["front"]', "[]", "no json", '{"a": 1}', '["../x"]'):
            assert look(page, text)[1] == []


def stops(served: Served, browser: Browser) -> bool:
    """Ask for a STOP that the gate does."""
    over = answering(served, True, "")
    try:
        answer = browser.ask("/api/act/stop", {})
        return answer.status == 200 and answer.said["done"]
    finally:
        over.set()


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
            with pytest.raises((InvalidStatus, ConnectionClosed)):
                live(served.port, browser)
        end_s = time.monotonic() + 5.0
        while served.counter.viewers:
            assert time.monotonic() < end_s, "viewers that left are forgotten"
            time.sleep(0.01)
        with live(served.port, browser) as third:
            look(third)


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
