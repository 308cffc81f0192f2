"""A person at the console of a running graph, in headless Chromium: see, start, stop, answer, review; and what breaks.

``ARMTUNE_SHOTS=folder`` keeps the screenshots there.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faults.arm_log import ArmLog
from std_msgs.msg import Bool

from armtune_bringup.compose import compose
from armtune_bringup.environment import PROFILES_FILE
from armtune_interfaces import srv
from armtune_interfaces.msg import GateState
from armtune_policies.contract import Mode, topics
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.nouns import SUCCESS
from armtune_policies.store.reviews import read_reviews
from armtune_safety.managed_node import LATCHED_QOS
from fixtures.browser import chromium, faults_of_access, needs_browser, without_browser
from fixtures.console import Browser
from fixtures.teleop import LIGHT
from fixtures.tiny_models import tiny_models
from fixtures.up import Up
from harness import Stack

pytestmark = pytest.mark.slow

ROBOT = compose().robot.name
QUICK = (
    "task.episode_steps=12",
    "episode.max_failures=1",
    "episode.stuck=2",
    "episode.recoveries=0",  # it asks at once
    "episode.max_aborts=100",
    "experiment.rest_s=0.1",
    "reward.threshold=0.999",
)
STOP_MS, LOST_MS = 450.0, 1000.0
"""A STOP: 300 ms until the gate has it, as for a proposal, and 150 ms to brake (tests/faults). A page that is lost."""
MOVING_RAD_S, ANSWERS, WAIT_S = 0.1, 10, 60.0
LINE_S = 0.05
LATCH, SCHEMES = "stop requested", ("light", "dark")


class Graph:
    """``armtune up sim`` with a console, and an observer beside it."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        tiny_models(folder / "models", compose())
        self.stack = stack
        self.port = _free_port()
        more = ("console=local", f"console.port={self.port}", "sim=fixed", "sim.arm_log=true")
        self.up = Up(folder, stack.domain, *more, *QUICK, *LIGHT)
        self.up.until_said("the console is at")
        self.up.until_said("learner_node: active")
        self.log = ArmLog(self.up.run / "logs" / "arm.csv")
        self._gates = stack.listen(f"/{ROBOT}/{topics.GATE_STATE}", GateState, LATCHED_QOS)
        self.is_nursed, self.is_wanted = True, False
        """Whether a STOP that a busy machine itself caused is cleared, as an operator would, and armed where it was."""

    @property
    def gate(self) -> GateState:
        return self._gates[-1] if self._gates else GateState(mode=int(Mode.STOP))

    def nurse(self) -> None:
        if not (self.is_nursed and (self.gate.latches or (self.is_wanted and not self.gate.armed))):
            return
        for latch in self.gate.latches:
            self.stack.call(srv.ClearLatch, f"/{ROBOT}/{topics.CLEAR}", srv.ClearLatch.Request(name=latch))
        self.stack.call(srv.Arm, f"/{ROBOT}/{topics.ARM}", srv.Arm.Request(boot_id=self.gate.boot_id))

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        self.stack.until(lambda: (self.nurse(), condition())[1], timeout_s, what)

    def moving(self) -> None:
        self.until(lambda: self.log.speed() > MOVING_RAD_S, "the arm moving")

    def rested_ms(self, since_ns: int) -> float:
        """How long after a moment the arm was at rest, by its own log."""
        self.stack.until(lambda: self.log.rest_ns(since_ns) is not None, 20.0, "the arm at rest")
        return ((self.log.rest_ns(since_ns) or 0) - since_ns) / 1e6

    def end(self) -> None:
        if self.up.process.poll() is None:
            self.up.process.send_signal(signal.SIGINT)
        self.up.ends(timeout_s=20.0)


def _free_port() -> int:
    """A console that is started again must be found where it was."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("console")
    with Stack(folder) as stack:
        made = Graph(folder, stack)
        yield made
        made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def person(graph: Graph, browser: Any) -> Iterator[Callable[[], Person]]:
    """Somebody who sits down at a page of their own, and gets up with the test; no page had an error."""
    there: list[Person] = []

    def sits_down() -> Person:
        there.append(Person(browser, graph))
        return there[-1]

    yield sits_down
    for one in there:
        one.page.close()
    assert [trouble for one in there for trouble in one.troubles] == []


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("ARMTUNE_SHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Person:
    """Somebody at one page."""

    def __init__(self, browser: Any, graph: Graph) -> None:
        from playwright.sync_api import Error

        self.graph = graph
        self.away = Error
        """What a page that is being loaded anew answers."""
        self.page = browser.new_page(viewport={"width": 1280, "height": 1500})
        self.page.set_default_timeout(WAIT_S * 1e3)
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda why: self.troubles.append(str(why)))
        self.graph.is_nursed, self.graph.is_wanted = True, False
        self.go("/")

    def go(self, path: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.graph.port}{path}")
        self.until("() => document.querySelector('#phase').textContent !== ''")

    def until(self, script: str, argument: Any = None) -> None:
        """Wait until a condition holds on the page."""

        def holds() -> bool:
            with suppress(self.away):
                return bool(self.page.evaluate(script, argument))
            return False

        try:
            self.graph.until(holds, script)
        except AssertionError as why:
            text = self.page.locator("body").inner_text()
            raise AssertionError(f"{why} {argument}\n{text}\n{self.graph.up.said[-1500:]}") from None

    def says(self, where: str, text: str) -> None:
        """Wait until something on the page says a text."""
        self.until("([id, text]) => document.getElementById(id)?.textContent.includes(text)", [where, text])

    def press(self, where: str) -> None:
        """Press a button once it can be pressed."""
        self.page.locator(f"#{where}:not([disabled])").click()

    def arm(self) -> None:
        """Arm, with the confirmation; a gate that wants a moment more is asked again."""
        press = "() => { if (!arm.disabled) { arm.click(); yes.click(); } }"

        def armed() -> bool:
            if not (self.graph.gate.armed or self.page.locator("#said").inner_text().endswith("asked ...")):
                self.page.evaluate(press)
            return bool(self.graph.gate.armed)

        self.graph.is_nursed = True
        self.graph.until(armed, "armed")
        self.graph.is_wanted = True

    def stop(self, how: Callable[[], None]) -> float:
        """Stop while the arm moves; return how long after the click or the key it rested [ms]."""
        note = "window.pressedAt = performance.timeOrigin + performance.now()"
        self.page.evaluate(
            f"() => ['pointerdown', 'keydown'].forEach(e => addEventListener(e, () => {{ {note}; }}, true))"
        )
        self.graph.moving()
        self.graph.is_nursed = False
        how()
        self.says("said", "gate_node: stop done")
        wall_ahead_ns = time.time_ns() - time.monotonic_ns()
        return self.graph.rested_ms(round(self.page.evaluate("() => window.pressedAt") * 1e6) - wall_ahead_ns)

    def recover(self) -> None:
        """Clear each latch by its name, then arm, all on the page."""
        self.says("gate-mode", "STOP")
        while before := len(self.graph.gate.latches):
            self.page.get_by_role("button", name="Clear “").first.click()
            self.graph.stack.until(lambda before=before: len(self.graph.gate.latches) < before, what="a latch cleared")  # type: ignore[misc]
        self.arm()

    def mark(self, name: str) -> None:
        """Say how the episode that is on went, once it has steps; one that ended just now is not meant."""
        has_steps = "/step ([2-9]|1\\d)/.test(document.getElementById('p-index').textContent)"
        press = f"id => {{ const b = document.getElementById(id); b.disabled || !{has_steps} || b.click(); }}"

        def marked() -> bool:
            said = self.page.locator("#said").inner_text()
            if f"episode_node: {name} done" in said:
                return True
            if not said.endswith("asked ..."):
                self.page.evaluate(press, name)
            return False

        self.graph.until(marked, f"{name} said")

    def faults_of_access(self) -> list[str]:
        """What is wrong with a page that is not grey."""
        is_grey = "() => document.body.classList.contains('is-lost')"
        while True:
            self.until(f"() => !({is_grey})()")
            found = faults_of_access(self.page)
            if not self.page.evaluate(is_grey):
                return found


@needs_browser
def test_person_sees_starts_stops_answers_reviews_and_looks_back(graph: Graph, person: Any, shots: Path) -> None:
    me = person()
    page = me.page
    me.until("() => Number(document.querySelector('figure img').dataset.frames) > 3")
    if not page.locator("#finish").is_disabled():  # this test is run anew
        me.press("finish")
    me.arm()
    page.locator("#episodes").fill("0")
    me.press("practise")
    me.says("said", "episode_node: practise done")
    me.says("p-phase", "acting")
    page.screenshot(path=shots / "live.png")
    by_button = me.stop(lambda: page.locator("#stop").click())
    me.says("p-reason", "waits for the gate")
    me.recover()
    by_key = me.stop(lambda: page.keyboard.press("Escape"))
    print(f"at rest after the button {by_button:.0f} ms, after the key {by_key:.0f} ms")
    assert max(by_button, by_key) <= STOP_MS, (by_button, by_key)
    me.recover()
    me.mark("mark_success")

    me.until("() => !document.getElementById('question').hidden")
    me.says("asked", "stuck: 2 failures in a row, in both directions")
    page.screenshot(path=shots / "question.png")
    me.press("resume")
    me.says("said", "episode_node: resume done")
    me.press("pause")
    me.says("said", "episode_node: pause done")
    me.until("() => !document.getElementById('question').hidden")
    me.says("asked", "paused by the operator")
    me.press("reset")
    me.says("asked", "reset the scene, then resume: the operator asked for it")
    me.press("finish")
    me.says("p-phase", "finished")

    before = reviewed(graph.up.run)
    me.go("/audit")
    page.locator("#share").select_option("1")
    me.until("() => document.querySelectorAll('#sheet img').length >= 10")
    page.locator("#sheet button").first.focus()
    for number in range(ANSWERS):
        page.keyboard.press("ynu"[number % 3])
        me.says("said", f"{number + 1} answered now")
    me.says("rates", f"{before + ANSWERS} reviewed")
    page.screenshot(path=shots / "audit.png")
    assert reviewed(graph.up.run) == before + ANSWERS
    episodes = [read_episode(path) for path in list_episodes(graph.up.run)]
    assert SUCCESS in [one.outcome for one in episodes], "the reward never says so here, the operator did"

    longest = max(range(len(episodes)), key=lambda index: len(episodes[index].modes))
    me.go("/progress")
    page.locator("#strip button").nth(longest).click()
    me.until("() => document.querySelector('#films img')?.naturalWidth > 0")
    me.press("play")
    me.until("() => Number(step.max) > 0 && Number(step.value) >= Math.min(5, Number(step.max))")
    page.screenshot(path=shots / "progress.png", full_page=True)


@needs_browser
def test_every_page_can_be_read_named_and_reached_by_keys(graph: Graph, person: Any, shots: Path) -> None:
    me = person()
    for path in ("/", "/progress", "/audit", "/browse", "/teleop", "/login"):
        me.page.goto(f"http://127.0.0.1:{graph.port}{path}")
        me.page.wait_for_load_state("networkidle") if path == "/login" else me.until("() => phase.textContent !== ''")
        for scheme in SCHEMES:
            me.page.emulate_media(color_scheme=scheme)
            assert me.faults_of_access() == [], (path, scheme)
            if path in ("/", "/progress"):
                me.page.screenshot(path=shots / f"desktop-{path[1:] or 'live'}-{scheme}.png")
    me.page.set_viewport_size({"width": 360, "height": 740})
    me.go("/")
    me.until("() => Number(document.querySelector('figure img').dataset.frames) > 0")
    box = me.page.locator("#stop").bounding_box()
    assert box["width"] == 360 and box["height"] >= 60 and box["y"] + box["height"] <= 740
    assert me.page.evaluate("() => document.documentElement.scrollWidth") <= 360
    for scheme in SCHEMES:
        me.page.emulate_media(color_scheme=scheme)
        me.page.screenshot(path=shots / f"phone-{scheme}.png")
    me.page.keyboard.press("Tab")
    assert me.page.evaluate("() => document.activeElement.textContent") == "to STOP"
    for _ in range(40):
        me.page.keyboard.press("Tab")
        if me.page.evaluate("() => document.activeElement.id") == "stop":
            break
    me.page.keyboard.press("Enter")
    me.says("said", "gate_node: stop done")


@needs_browser
def test_two_operators_see_each_other_and_either_stops(graph: Graph, person: Any) -> None:
    first, second = person(), person()
    first.says("others", "2 pages are open")
    second.press("hold")
    second.says("said", "gate_node: hold done")
    first.says("others", "hold done")
    first.press("unhold")
    first.says("said", "gate_node: unhold done")
    second.says("others", "unhold done")
    graph.is_nursed = False
    second.page.locator("#stop").click()
    first.says("gate-mode", "STOP")


def reviewed(run: Path) -> int:
    """How many answers are kept."""
    return sum(len(read_reviews(run, path.stem)) for path in list_episodes(run))


def lost_ms(me: Person, kill: Callable[[], None]) -> float:
    """How long after something was killed the page said that it lost it."""
    since_s = time.monotonic()
    kill()
    me.page.wait_for_function("() => document.body.classList.contains('is-lost')", polling=10)
    return (time.monotonic() - since_s) * 1e3


@needs_browser
def test_page_says_within_a_second_that_the_robot_is_lost_and_when_it_is_back(
    graph: Graph, person: Any, shots: Path
) -> None:
    me = person()
    pid = graph.up.node("gate_node")
    took_ms = lost_ms(me, lambda: os.kill(pid, signal.SIGKILL))
    me.says("lost", "Lost the robot: the gate is silent")
    me.page.screenshot(path=shots / "lost.png")
    print(f"lost after {took_ms:.0f} ms")
    assert took_ms <= LOST_MS
    me.until("() => !document.body.classList.contains('is-lost')")


@needs_browser
def test_page_says_that_the_console_is_lost_the_stop_topic_works_and_the_page_comes_back(
    graph: Graph, person: Any
) -> None:
    me = person()
    graph.is_nursed = False
    pid = graph.up.node("console_node")
    cut_ms = lost_ms(me, lambda: os.kill(pid, signal.SIGSTOP))  # silent, as behind a cable that was pulled
    os.kill(pid, signal.SIGCONT)
    me.until("() => !document.body.classList.contains('is-lost')")
    line, level = graph.stack.publisher(f"/{ROBOT}/{topics.ESTOP}", Bool, LATCHED_QOS), Bool()
    graph.stack.node.create_timer(LINE_S, lambda: line.publish(level))  # for the graph's life: silence is pressed
    pid, said = graph.up.node("console_node"), graph.up.said.count("the console is at")
    took_ms = lost_ms(me, lambda: os.kill(pid, signal.SIGKILL))
    level.data = True
    graph.stack.until(lambda: "e-stop pressed" in graph.gate.reasons and graph.gate.mode == Mode.STOP, what="STOP")
    level.data = False
    me.says("lost", "Lost the console")
    print(f"lost after {cut_ms:.0f} ms of silence, {took_ms:.0f} ms of its end")
    assert max(cut_ms, took_ms) <= LOST_MS
    assert not any("console_node" in reason for reason in graph.gate.reasons), "its loss does not stop the arm"
    graph.up.until_said("the console is at", times=said + 1)
    me.until("() => document.body && !document.body.classList.contains('is-lost') && phase.textContent !== ''")
    me.says("gate-mode", "STOP")


def test_command_says_where_the_console_is_and_prometheus_reads_it(graph: Graph) -> None:
    env = {**os.environ, "ROS_DOMAIN_ID": str(graph.stack.domain)}
    env.pop(PROFILES_FILE, None)
    command = [sys.executable, "-m", "armtune_bringup.cli", "console"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, f"http://127.0.0.1:{graph.port}/"), done.stderr
    text = Browser(graph.port).come_in().ask("/metrics").body.decode()
    assert 'armtune_node_up{node="gate_node"} 1.0' in text and "armtune_disk_free_bytes" in text


@without_browser
def test_graph_is_armed_started_and_stopped_by_requests(graph: Graph) -> None:
    me = Browser(graph.port).come_in()
    arm = lambda: me.ask("/api/act/arm", {"boot_id": str(graph.gate.boot_id)}).said["done"]  # noqa: E731
    graph.until(arm, "armed")
    assert me.ask("/api/act/practise", {}).said["done"] and not me.ask("/api/act/practise", {}).said["done"]
    graph.moving()
    graph.is_nursed, since_ns = False, time.monotonic_ns()
    assert me.ask("/api/act/stop", {}).said["done"]
    assert graph.rested_ms(since_ns) <= STOP_MS
    assert me.ask("/api/act/clear", {"name": LATCH}).said["done"] and arm()
    assert me.ask("/api/act/finish", {}).said["done"]
