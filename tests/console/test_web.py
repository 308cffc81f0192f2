"""The web app on a real server: who may what, and what is refused."""

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
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from armtune_console.access import Role
from armtune_console.web.guard import MAX_BODY
from armtune_policies.transfer import patience
from armtune_teleop.web import Server
from fixtures.console import OPERATOR, VIEWER, Served, answering, live, look, serve, stops

BEGUN_STOP = b"POST /api/act/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
pytestmark = [pytest.mark.fault("F60"), pytest.mark.unhurried]


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


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    (
        ("/api/enter", b"[" * 60_000, {}, 400),
        ("/api/enter", b'{"token": "\\ud800"}', {}, 401),
        ("/api/enter", b"{}", {"origin": "http://["}, 403),
        (f"/api/runs/first/episodes/first-00000/frames/front/{'1' * 5000}", None, {}, 401),
        ("/metrics", None, {"authorization": "Bearer \xff"}, 401),
    ),
)  # fmt: skip
def test_what_no_browser_sends_is_refused_and_fills_no_log(
    root: Path, capfd: pytest.CaptureFixture[str], path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    with serve(root, {hashlib.sha256(OPERATOR.encode()).digest(): Role.OPERATOR}) as served:
        assert served.browser().ask(path, body, **headers).status == status
        inside = served.browser().come_in(OPERATOR)
        assert inside.ask(path, body, **headers).status in (400, 401, 403, 404)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("path", "says"), (("/nowhere", "no such address"), ("/download/no&lt;b/x", "no run")))
def test_person_who_follows_a_wrong_link_gets_a_page_and_a_program_a_sentence(
    local: Served, path: str, says: str
) -> None:
    browser = local.browser().come_in()
    person = browser.ask(path.replace("&lt;", "<"), accept="text/html,*/*").body.decode()
    assert person.startswith("<!doctype html>") and says in person and 'href="/"' in person
    assert "<b" not in person.replace("<body", "") and says in browser.ask(path).said["why"]
    assert b"does not go by that name" in browser.ask("/", host="evil.example", accept="text/html").body


def test_address_that_asks_is_what_the_proxy_says_only_where_there_is_one(root: Path) -> None:
    tokens = {hashlib.sha256(OPERATOR.encode()).digest(): Role.OPERATOR}
    for names in ((), ("robot.lan",)):
        with serve(root, tokens, names=names) as served:
            tries = [
                served.browser().ask("/api/enter", {"token": "x"}, x_forwarded_for=f"10.0.0.{number}").status
                for number in range(8)
            ]
        assert (429 in tries) is (not names)


def test_cookie_is_for_tls_only_wherever_pages_come_by_tls(root: Path, tmp_path: Path) -> None:
    tokens = {hashlib.sha256(OPERATOR.encode()).digest(): Role.OPERATOR}
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    proxied = {"names": ("robot.lan",)}
    ways: tuple[tuple[dict[str, Any], dict[str, Any], str, bool], ...] = (
        ({}, {}, "127.0.0.1", False),
        (proxied, {}, "robot.lan", True),
        (proxied, {}, "robot.lan:8443", True),
        (proxied, {}, "[::1]:8766", False),
        ({"tls_cert": str(cert), "tls_key": str(key)}, {"scheme": "https", "context": context}, "127.0.0.1", True),
    )
    for params, by, host, is_secure in ways:
        with serve(root, tokens, **params) as served:
            browser = served.browser(**by)
            came_in = browser.ask("/api/enter", {"token": OPERATOR}, host=host)
            browser.word = browser.ask("/api/session", host=host).said["word"]
            left = browser.ask("/api/leave", {}, host=host)
        for answer in (came_in, left):
            kept = answer.headers["set-cookie"]
            assert answer.status == 200 and ("Secure" in kept) is is_secure, (host, kept)
            assert "HttpOnly" in kept and "SameSite=strict" in kept


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
