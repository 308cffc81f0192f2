"""The pages' own script in headless Chromium, on a console that is served without a graph: what STOP comes through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.browser import chromium, needs_browser, until
from fixtures.console import Served, handed, serve, write_run

pytestmark = needs_browser


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """A browser whose tabs share their cookies."""
    with chromium() as browser:
        yield browser.new_context()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A console whose desk is answered as by the gate."""
    over = threading.Event()
    with serve(tmp_path) as made:

        def work() -> None:
            while not over.wait(timeout=0.01):
                for wish in made.desk.take():
                    wish.say(True, "")

        threading.Thread(target=work, daemon=True).start()
        yield made
        over.set()


def tab(context: Any, served: Served) -> Any:
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{served.port}/")
    page.wait_for_function("() => document.getElementById('me').textContent.startsWith('you: operator')")
    return page


def stops(page: Any) -> None:
    """Press STOP; the page says that the gate did it."""
    page.locator("#stop").click()
    page.wait_for_function("() => document.getElementById('said').textContent.includes('gate_node: stop done')")


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
