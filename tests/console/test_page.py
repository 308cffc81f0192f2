"""The pages' own script in headless Chromium, on a console that is served without a graph: what STOP comes through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from armtune_console.access import read_tokens
from fixtures.browser import chromium, faults_of_access, needs_browser, out_of_place, until
from fixtures.console import OPERATOR, VIEWER, Served, frame, handed, serve, write_run

pytestmark = [needs_browser, pytest.mark.unhurried]


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """A browser whose tabs share their cookies."""
    with chromium() as browser:
        yield browser.new_context()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A console whose desk is answered as by the gate."""
    with serve(tmp_path) as made, gated(made):
        yield made


@contextmanager
def gated(served: Served) -> Iterator[None]:
    """A gate that beats and does what it is asked."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(timeout=0.01):
            served.board.put("beat", {})
            for wish in served.desk.take():
                wish.say(True, "")

    gate = threading.Thread(target=work, daemon=True)
    gate.start()
    try:
        yield
    finally:
        over.set()
        gate.join(timeout=5.0)


def tab(context: Any, served: Served) -> Any:
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{served.port}/")
    me(page, "you: operator")
    return page


def me(page: Any, text: str) -> None:
    """Wait until the page says as whom one came in."""
    page.wait_for_function("text => document.getElementById('me')?.textContent.startsWith(text)", arg=text)


def says(page: Any, where: str, text: str) -> None:
    """Wait until something on the page says a text."""
    page.wait_for_function("([id, text]) => document.getElementById(id)?.textContent.includes(text)", arg=[where, text])


def stops(page: Any) -> None:
    """Press STOP; the page says that the gate did it."""
    page.locator("#stop").click()
    says(page, "said", "gate_node: stop done")


def test_tabs_whose_session_is_gone_still_stop(context: Any, served: Served) -> None:
    tabs = [tab(context, served), tab(context, served)]
    for _ in range(2):
        served.door.access._sessions.clear()  # as by a restart, by age, or by very many new ones
        for page in tabs:
            stops(page)
            page.reload()
    for page in tabs:
        page.close()


def test_stop_does_not_wait_for_what_the_archive_is_asked(context: Any, served: Served) -> None:
    page = tab(context, served)
    with served.clerk._lock:
        page.evaluate("() => { for (let i = 0; i < 8; ++i) fetch(`/api/runs?${i}`); }")
        stops(page)
    page.close()


def test_hand_page_drives_leaves_space_to_a_focused_stop_and_lets_go_when_it_is_left(
    context: Any, served: Served
) -> None:
    page = tab(context, served)
    assert page.locator("#teleop").is_hidden()
    with handed(served.board) as (_, ear):
        page.locator("#teleop").click()
        page.wait_for_function("() => document.querySelector('#state')?.textContent.startsWith('released')")
        page.keyboard.down("w")
        page.keyboard.down(" ")
        until(lambda: ear.heard[-1] == {"x", "engage"})
        page.keyboard.up(" ")
        page.keyboard.up("w")
        page.locator("#stop").focus()
        page.keyboard.press(" ")
        page.wait_for_function("() => document.getElementById('said').textContent.includes('gate_node: stop done')")
        assert not [one for one in ear.heard if isinstance(one, str)]
        page.goto("about:blank")
        until(lambda: ear.heard[-1] == "the operator's page is gone")
    page.close()


def test_button_in_focus_is_pressed_by_enter_and_space_and_space_engages_where_none_is(
    context: Any, served: Served
) -> None:
    page = tab(context, served)
    with handed(served.board) as (_, ear):
        page.goto(f"http://127.0.0.1:{served.port}/teleop")
        page.wait_for_function("() => document.querySelector('#state')?.textContent.startsWith('released')")
        gripper = page.locator("[data-input=gripper]")

        def heard(press: Callable[[], None]) -> list[Any]:
            """Return what was not at rest, once what was pressed is at rest again."""
            del ear.heard[:]
            press()
            until(lambda: any(ear.heard) and not ear.heard[-1])
            return [one for one in ear.heard if one]

        for key in ("Enter", " "):
            gripper.focus()
            assert heard(lambda key=key: page.keyboard.press(key)) == [{"gripper"}]
        page.locator("#engage").focus()
        assert {"engage"} in heard(lambda: page.keyboard.press(" ", delay=100))
        assert {"gripper"} in heard(lambda: gripper.click(delay=100))
        assert {"engage"} in (said := heard(lambda: page.keyboard.press(" ", delay=100))) and {"gripper"} not in said
    page.close()


def test_last_episode_is_replayed_from_the_hand_page(context: Any, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "shown", "st")
    with serve(tmp_path / "runs") as served:
        page = tab(context, served)
        page.goto(f"http://127.0.0.1:{served.port}/teleop")
        page.wait_for_function("() => document.getElementById('none').textContent.includes('teleop=web')")
        assert page.locator("#replay").is_hidden() and page.locator("#hand").is_hidden()
        served.board.put("episode", {"run_id": "shown", "episode_id": "shown-00001", "outcome": "timeout", "phase": ""})
        page.wait_for_function("() => document.getElementById('replay').textContent.includes('shown-00001, timeout')")
        page.goto(f"http://127.0.0.1:{served.port}{page.locator('#replay').get_attribute('href')}")
        page.wait_for_function("() => document.getElementById('h-player').textContent.startsWith('shown-00001')")
        page.close()


GATE = {"mode": "STOP", "armed": False, "reasons": ["stop requested"], "latches": [], "holder": "", "boot_id": "7"}
EPISODE = {
    "run_id": "one", "episode_id": "one-00003", "index": 3, "phase": "paused", "direction": "forward", "outcome": "",
    "sentence": "open the drawer", "reason": "stuck: reset the scene, then resume", "purpose": "practice", "asks": True,
    "waits_for": "person",
}  # fmt: skip
REWARD = {"episode_id": "one-00003", "step": 2, "verdict": "unknown", "probability": 0.71, "latency_ms": 3.0}


def tell(served: Served, **gate: Any) -> None:
    """Say how a gate and a practice that is stuck stand."""
    for kind, said in (("gate", {**GATE, **gate}), ("episode", EPISODE), ("reward", REWARD)):
        served.board.put(kind, said)


def test_stop_is_pressed_while_the_page_asks_whether_to_arm(context: Any, served: Served) -> None:
    tell(served)
    page = tab(context, served)
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("#arm").click()
    assert page.evaluate("() => document.activeElement.id") == "no", "a second Enter does not arm"
    stops(page)
    page.locator("#yes").click()
    says(page, "said", "gate_node: arm done")
    page.close()


def test_picture_says_what_the_robot_does_and_how_sure_it_is(context: Any, served: Served) -> None:
    tell(served)
    page = tab(context, served)
    said = "paused, “open the drawer”, success 0.71 (yes above 0.80, unsure above 0.60), gate STOP (stop requested)"
    page.wait_for_function("text => document.querySelector('figcaption').textContent.includes(text)", arg=said)
    served.film.put("front", frame())
    page.wait_for_function("() => Number(document.querySelector('figure img').dataset.frames) > 0")
    page.close()


def test_practice_that_waits_for_the_gate_says_what_the_gate_wants_now(context: Any, served: Served) -> None:
    tell(served, reasons=["not armed"])
    waits = {"waits_for": "gate", "reason": "waits for the gate: joint states stale; not armed", "asks": False}
    served.board.put("episode", {**EPISODE, **waits})
    page = tab(context, served)
    page.wait_for_function("() => document.getElementById('p-reason').textContent === 'waits for the gate: not armed'")
    page.close()


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_what_a_page_shows_at_times_can_be_read_and_is_named(context: Any, tmp_path: Path, scheme: str) -> None:
    write_run(tmp_path / "runs", "shown", "sta")
    with serve(tmp_path / "runs") as served, gated(served):
        tell(served, latches=["stop requested", "e-stop"])
        page = tab(context, served)
        page.emulate_media(color_scheme=scheme)
        says(page, "asked", "stuck")
        says(page, "latches", "e-stop")
        assert faults_of_access(page) == []
        tell(served)
        page.locator("#arm").click()
        assert faults_of_access(page) == []
        page.goto(f"http://127.0.0.1:{served.port}/progress?run=shown&episode=shown-00001")
        says(page, "h-player", "shown-00001")
        page.wait_for_function("() => document.querySelector('#films img')?.naturalWidth > 0")
        assert faults_of_access(page) == []
        page.goto(f"http://127.0.0.1:{served.port}/nowhere")
        assert "no such address" in page.locator("main").inner_text() and faults_of_access(page) == []
        page.close()


BESIDE = """([a, b]) => {
  const box = id => document.getElementById(id).getBoundingClientRect();
  return box(a).right <= box(b).left;
}"""


@pytest.mark.parametrize("width_px", (390, 800, 900, 1280))
def test_nothing_is_cut_or_covered_at_any_width(context: Any, tmp_path: Path, width_px: int) -> None:
    write_run(tmp_path / "runs", "20260102-030405-shown", "sta")
    with serve(tmp_path / "runs") as served, gated(served), handed(served.board):
        tell(served, latches=["stop requested", "e-stop"])
        page = tab(context, served)
        page.set_viewport_size({"width": width_px, "height": 800})
        says(page, "latches", "e-stop")
        served.film.put("front", frame(640, 480))
        page.wait_for_function("() => Number(document.querySelector('figure img').dataset.frames) > 0")
        assert out_of_place(page) == []
        assert page.evaluate(BESIDE, ["views", "latches"]) is (width_px >= 896)
        for path, shown in (("progress", "strip"), ("audit", "sheet"), ("browse", "episodes"), ("teleop", "hand")):
            page.goto(f"http://127.0.0.1:{served.port}/{path}")
            page.wait_for_function("id => document.getElementById(id).childElementCount > 0", arg=shown)
            assert out_of_place(page) == [], path
        assert page.evaluate(BESIDE, ["views", "hand"]) is (width_px >= 640)
        page.close()


def test_wrong_token_is_said_on_the_page_and_a_viewer_may_look_and_stop(context: Any, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"viewer {VIEWER}\noperator {OPERATOR}\n")
    tokens.chmod(0o600)
    with serve(tmp_path, read_tokens(tokens)) as served, gated(served):
        tell(served)
        page = context.new_page()
        for path in ("/", "/browse"):
            page.goto(f"http://127.0.0.1:{served.port}{path}")
            assert page.url.endswith("/login")
        for token, why in ((OPERATOR[:-1], "no such token; ask who runs this robot"), (VIEWER, "")):
            page.locator("#token").fill(token)
            page.keyboard.press("Enter")
            says(page, "why", why)
        me(page, "you: viewer")
        stops(page)
        says(page, "asked", "stuck")
        for name in ("arm", "hold", "practise", "resume", "finish"):
            assert page.locator(f"#{name}").is_disabled(), name
        page.get_by_role("button", name="leave").click()
        page.wait_for_url("**/login")
        page.locator("#token").fill(OPERATOR)
        page.get_by_role("button", name="come in").click()
        me(page, "you: operator")
        page.close()


def test_page_for_which_there_is_no_room_says_so_and_still_stops(context: Any, tmp_path: Path) -> None:
    with serve(tmp_path, viewers=1) as served, gated(served):
        first, second = tab(context, served), tab(context, served)
        says(second, "lost", "Lost the console: 1 live pages are open, which is the most")
        stops(second)
        first.close()
        second.wait_for_function("() => !document.body.classList.contains('is-lost')")
        second.close()
