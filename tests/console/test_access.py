"""Who comes in, as whom, from where, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_console.access import PEERS, SESSION_S, Access, Pace, Role, is_own_name, is_own_origin, read_tokens
from armtune_console.settings import ConsoleParams
from armtune_policies.contract import ConfigError, ManualClock

pytestmark = [pytest.mark.fault("F60"), pytest.mark.unhurried]

VIEWER, OPERATOR = "look-at-me-0123456789", "let-me-steer-0123456789"


def token_file(
    folder: Path, text: str = f"# ours\nviewer {VIEWER}\n\noperator {OPERATOR}\n", mode: int = 0o600
) -> Path:
    path = folder / "tokens.txt"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_token_says_the_role_and_a_wrong_one_gets_none(tmp_path: Path) -> None:
    access = Access(read_tokens(token_file(tmp_path)), ManualClock())
    assert access.asks and access.enter("let-me-steer-012345678") is None and access.enter("") is None
    for token, role in ((VIEWER, Role.VIEWER), (OPERATOR, Role.OPERATOR)):
        session = access.enter(token)
        assert session is not None and session.role is role
        assert access.session(session.cookie) == session and session.word != session.cookie


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    (
        ("operator short\n", 0o600, ":1: expected `operator TOKEN`"),
        (f"king {VIEWER}\n", 0o600, "expected `operator TOKEN`"),
        ("\n# none\n", 0o600, "found none"),
        (f"viewer {VIEWER}\n", 0o644, "chmod 600"),
    ),
)
def test_token_file_that_will_not_do_is_refused(tmp_path: Path, text: str, mode: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_tokens(token_file(tmp_path, text, mode))


def test_session_ends_by_leaving_and_by_time() -> None:
    clock = ManualClock()
    access = Access({}, clock)
    first, second = access.enter(""), access.enter("")
    assert first is not None and second is not None and first.role is Role.OPERATOR
    access.leave(first.cookie)
    assert access.session(first.cookie) is None and access.session(second.cookie) == second
    clock.advance(SESSION_S + 1)
    assert access.session(second.cookie) is None


@pytest.mark.parametrize(
    ("host", "ours"),
    (("127.0.0.1:8766", True), ("localhost", True), ("[::1]:8766", True), ("evil.example:8766", False), ("", False),
     ("127.0.0.1.evil.example", False), ("[::1", False), ("robot.lan", True)),
)  # fmt: skip
def test_only_our_own_names_are_ours(host: str, ours: bool) -> None:
    tokens = {"tokens": "t", "names": ("robot.lan",)}
    assert is_own_name(host, ConsoleParams(kind="web", **tokens).accepted_names) is ours


@pytest.mark.parametrize(
    ("origin", "ours"),
    ((None, True), ("http://127.0.0.1:8766", True), ("null", False), ("http://127.0.0.1:9", False), ("x", False),
     ("http://[", False)),
)  # fmt: skip
def test_only_our_own_pages_may_steer(origin: str | None, ours: bool) -> None:
    assert is_own_origin(origin, "127.0.0.1:8766") is ours


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 2.0)), max_size=60))
def test_no_address_gets_more_than_its_pace_whatever_others_do(asked: list[tuple[str, float]]) -> None:
    clock = ManualClock()
    pace, first_s = Pace(2.0, 3.0, clock), {}
    got: dict[str, int] = {}
    for peer, gap_s in asked:
        clock.advance(gap_s)
        now_s = clock.now_ns() / 1e9
        first_s.setdefault(peer, now_s)
        got[peer] = got.get(peer, 0) + pace.allows(peer)
        assert got[peer] <= 3.0 + 2.0 * (now_s - first_s[peer]) + 1e-6


def test_pace_remembers_no_more_addresses_than_it_may() -> None:
    pace = Pace(1.0, 1.0, ManualClock())
    for number in range(PEERS + 50):
        pace.allows(str(number))
    assert len(pace._buckets) == PEERS


@pytest.mark.parametrize(
    ("params", "says"),
    (
        ({"host": "0.0.0.0"}, "reached from other machines"),
        ({"host": "0.0.0.0", "tokens": "t"}, "reached from other machines"),
        ({"host": "10.0.0.2", "tls_cert": "c", "tls_key": "k"}, "reached from other machines"),
        ({"tls_cert": "c"}, "together with tls_key"),
        ({"names": ("robot.lan",)}, "requires console.tokens"),
    ),
)
def test_console_for_others_without_a_lock_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ConsoleParams(kind="web", **params)


def test_console_for_others_with_tokens_and_tls_is_allowed() -> None:
    params = ConsoleParams(kind="web", host="0.0.0.0", tokens="t", tls_cert="c", tls_key="k", names=("robot.lan",))
    assert params.address(1).startswith("https://") and not params.is_local and "0.0.0.0" not in params.accepted_names
