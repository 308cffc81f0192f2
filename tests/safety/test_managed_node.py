"""The base of every node, as a real process."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from casebook import Case
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition

from armtune_interfaces.msg import Heartbeat
from armtune_safety.hang import EXIT_HUNG
from harness import Stack

TOY = """
import time
from dataclasses import dataclass
from functools import partial
from armtune_interfaces.msg import Heartbeat
from armtune_policies.contract import Checked, num, text
from armtune_safety import managed_node
from armtune_safety.hang import HangGuard
from armtune_safety.managed_node import ManagedNode, run

@dataclass(frozen=True, kw_only=True)
class Params(Checked):
    rate_hz: float = num(5.0, low=1, high=50)
    how: str = text("well")

class Toy(ManagedNode):
    Params = Params
    def set_up(self):
        if self.params.how == "missing":
            raise OSError("no such model folder")
        if self.params.how == "broken":
            raise KeyError("a bug")
        self.create_publisher(Heartbeat, "said", 1)
        self.create_timer(0.05, lambda: None)
    def sleep_for_ever(self):
        while True:
            time.sleep(0.01)
    def start(self):
        if self.params.how == "stuck":
            self.create_timer(0.01, self.sleep_for_ever)
        self.did_work()
        if self.params.how == "idle":
            self.no_work()
        self.report("busy", speed=3)

managed_node.HangGuard = partial(HangGuard, hang_s=%s, look_s=%s)
run(lambda: Toy("toy"))
"""
HANG_S, LOOK_S = 0.8, 0.2


def start(stack: Stack, monkeypatch, tmp_path: Path, **params: object) -> None:
    (tmp_path / "toy.py").write_text(TOY % (HANG_S, LOOK_S))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    stack.start("toy", "toy", params)


def test_a_beat_carries_evidence_and_diagnostics_say_what_it_does(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path)
    assert stack.wait_for("heartbeat", Heartbeat).evidence_age_s == -1.0
    stack.transition("toy", Transition.TRANSITION_CONFIGURE)
    stack.transition("toy", Transition.TRANSITION_ACTIVATE)
    beat = stack.wait_for("heartbeat", Heartbeat, lambda m: m.evidence_seq == 1)
    assert beat.node == "toy"
    array = stack.wait_for("/diagnostics", DiagnosticArray, lambda m: m.status[0].message == "busy")
    assert [(v.key, v.value) for v in array.status[0].values] == [("speed", "3")]
    assert stack.stop("toy") == 0


def test_a_beat_says_that_there_is_nothing_to_work_on(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path, how="idle")
    stack.transition("toy", Transition.TRANSITION_CONFIGURE)
    stack.transition("toy", Transition.TRANSITION_ACTIVATE)
    assert stack.wait_for("heartbeat", Heartbeat, lambda m: m.evidence_seq == 1).evidence_age_s == -1.0


def test_what_a_user_can_mend_is_one_sentence_and_exit_78(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path, how="missing")
    stack.transition("toy", Transition.TRANSITION_CONFIGURE, expect=False)
    assert stack.processes["toy"].wait(timeout=10) == 78
    assert "toy: no such model folder" in stack.log("toy")
    assert "Traceback" not in stack.log("toy")


def test_transition_that_does_not_start_here_is_refused_and_the_node_goes_on(
    stack: Stack, monkeypatch, tmp_path: Path
) -> None:
    start(stack, monkeypatch, tmp_path)
    stack.transition("toy", Transition.TRANSITION_CONFIGURE)
    stack.transition("toy", Transition.TRANSITION_ACTIVATE)
    for number in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CONFIGURE, 77):
        stack.transition("toy", number, expect=False)
    stack.transition("toy", Transition.TRANSITION_DEACTIVATE)
    assert stack.stop("toy") == 0 and "refused: " in stack.log("toy")


def test_a_node_speaks_once_when_it_is_configured_again(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path)
    node = stack.node
    for _ in range(2):
        stack.transition("toy", Transition.TRANSITION_CONFIGURE)
        stack.until(lambda: node.count_publishers("said") == 1, what="one publisher")
        stack.transition("toy", Transition.TRANSITION_CLEANUP)
        stack.until(lambda: node.count_publishers("said") == 0, what="no publisher")
    stack.wait_for("heartbeat", Heartbeat)
    assert stack.stop("toy") == 0


def test_a_bug_in_a_transition_is_not_swallowed(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path, how="broken")
    stack.transition("toy", Transition.TRANSITION_CONFIGURE, expect=False)
    assert stack.processes["toy"].wait(timeout=10) == 1
    assert "KeyError: 'a bug'" in stack.log("toy")


def test_a_parameter_out_of_range_never_starts(stack: Stack, monkeypatch, tmp_path: Path) -> None:
    start(stack, monkeypatch, tmp_path, rate_hz=100.0)
    assert stack.processes["toy"].wait(timeout=10) == 78
    assert "rate_hz out of range" in stack.log("toy")


@pytest.mark.fault("F26")
def test_process_that_is_stuck_ends_itself_and_says_where_and_one_that_was_stopped_goes_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: Case
) -> None:
    case.by("a callback that never comes back")
    start(stack, monkeypatch, tmp_path, how="stuck")
    stack.transition("toy", Transition.TRANSITION_CONFIGURE)
    stack.processes["toy"].send_signal(signal.SIGSTOP)
    time.sleep(HANG_S + 2 * LOOK_S)  # it must be stopped for as long as would be a hang
    stack.processes["toy"].send_signal(signal.SIGCONT)
    stack.wait_for("heartbeat", Heartbeat)
    since_ns = time.monotonic_ns()
    stack.transition("toy", Transition.TRANSITION_ACTIVATE)
    assert stack.processes["toy"].wait(timeout=10) == EXIT_HUNG
    case.within("process ended", time.monotonic_ns() - since_ns, 1e3 * (HANG_S + 3 * LOOK_S) + 500)
    assert "stuck in one piece of work" in stack.log("toy") and "sleep_for_ever" in stack.log("toy")
