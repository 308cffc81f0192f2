from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from casebook import Case

from armtune_policies.contract import ManualClock
from armtune_runtime.learner_process import PAUSE_NS, LearnerProcess, Offer, job_of, spawn
from armtune_runtime.settings import LearnerNodeParams, LearnerParams, PolicyParams
from fixtures.untrained import untrained_policy, write_episode

WELL = """
tell(event="ready")
for line in sys.stdin:
    name = json.loads(line)["episode_id"]
    tell(event="progress", update=1)
    tell(event="offer", version="head-" + name, folder="/heads", manifest_digest="d")
"""
DIES = """
tell(event="ready")
sys.stdin.readline()
sys.exit(3)
"""
HANGS = """
tell(event="ready")
sys.stdin.readline()
time.sleep(60)
"""
BURNS = """
tell(event="ready")
sys.stdin.readline()
while True: pass
"""
FAILS = """
print("not an event", flush=True)
tell(event="ready")
for line in sys.stdin:
    tell(event="nothing", reason="no successful episodes")
"""
MEMORY_MB = 1024
HEAD = "import json, sys, time\ndef tell(**event): print(json.dumps(event), flush=True)\n"


def program(text: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-S", "-c", HEAD + text], stdin=pipe, stdout=pipe, text=True)


class Held:
    """A learner process of given programs, or jobs, one after another; time passes only when told."""

    def __init__(
        self, *texts: str | dict[str, Any], restarts: int = 3, refit_every: int = 1, hang_s: float = 60.0
    ) -> None:
        self.clock, self.starts, self.offers = ManualClock(1), 0, list[Offer]()
        self._texts = texts
        self.learner = LearnerProcess(self._start, self.clock, restarts, hang_s, refit_every)

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        what = self._texts[min(self.starts, len(self._texts)) - 1]
        return program(what) if isinstance(what, str) else spawn(what)

    def until(self, condition: Callable[[], bool], patience_s: float = 20.0) -> None:
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, (self.learner.state, self.learner.trouble)
            self.offers += self.learner.poll()
            time.sleep(0.005)

    def is_state(self, state: str) -> Callable[[], bool]:
        return lambda: self.learner.state == state


@pytest.fixture
def hold() -> Iterator[Callable[..., Held]]:
    held: list[Held] = []

    def make(*texts: str | dict[str, Any], **settings: Any) -> Held:
        held.append(Held(*texts, **settings))
        return held[-1]

    yield make
    for each in held:
        each.learner.close()


def test_offer_is_heard_when_an_episode_finished(hold) -> None:
    held = hold(WELL)
    held.learner.finished("run-00000")
    held.until(lambda: bool(held.offers))
    assert held.offers == [Offer("head-run-00000", "/heads", "d")]
    assert held.learner.state == "waiting"


def test_head_that_stands_is_an_offer_when_the_learner_is_ready_and_answers_no_request(hold) -> None:
    ready = 'tell(event="ready", version="back", folder="/heads", manifest_digest="d", after="run-7")'
    one = hold(WELL.replace('tell(event="ready")', ready))
    one.until(lambda: bool(one.offers))
    assert one.offers == [Offer("back", "/heads", "d", "run-7")] and not one.learner.concluded


def test_one_request_names_the_newest_when_several_episodes_finished(hold) -> None:
    held = hold(WELL, refit_every=3)
    for number in range(5):
        held.learner.finished(f"run-{number}")
    held.until(lambda: bool(held.offers))
    held.learner.finished("run-5")
    held.learner.finished("run-6")
    held.until(held.is_state("waiting"))
    assert [offer.version for offer in held.offers] == ["head-run-4"]


@pytest.mark.fault("F29")
def test_request_is_asked_again_when_the_learner_died_over_it(hold) -> None:
    held = hold(DIES, WELL)
    held.learner.finished("run-00000")
    held.until(held.is_state("ended"))
    assert held.learner.trouble == "the learner ended with code 3"
    held.clock.advance(PAUSE_NS / 1e9)
    held.until(lambda: bool(held.offers))
    assert held.starts == 2 and held.offers[0].version == "head-run-00000"


@pytest.mark.slow
@pytest.mark.fault("F29")
def test_learner_that_outgrows_its_memory_ends_in_a_sentence_and_is_given_up_within_its_budget(
    hold, tmp_path: Path, case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    case.by(f"a learner of {MEMORY_MB} MB that wants more")
    seen = PolicyParams(folder=str(untrained_policy(tmp_path / "policy")), height_px=32, width_px=32)
    greedy = LearnerParams(updates=20, batch=4096, memory_mb=MEMORY_MB)
    job = job_of(LearnerNodeParams(learner=greedy, policy=seen, run_folder=str(tmp_path / "run")))
    write_episode(tmp_path / "run", "run-00000")
    held, peaks_mb = hold(job, restarts=1), list[float]()

    def is_given_up() -> bool:
        peaks_mb.append(peak_mb(held.learner.pid))
        held.clock.advance(PAUSE_NS / 1e9 if held.learner.state == "ended" else 0)
        return held.learner.state == "given up"

    held.learner.finished("run-00000")
    held.until(is_given_up, patience_s=150)
    assert held.starts == 2 and held.offers == [] and held.learner.trouble == "the learner ended with code 1"
    told = capfd.readouterr().err
    assert told.count(f"error: learner: out of memory: it needs more than the {MEMORY_MB} MB") == 2, told
    case.nothing("a traceback of the learner", "Traceback" in told)
    case.nothing("a learner larger than its limit", [peak for peak in peaks_mb if peak > MEMORY_MB])


def peak_mb(pid: int | None) -> float:
    """The largest address space that a process has had [MB]; 0 for one that is gone."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmPeak:")), default=0.0)


@pytest.mark.fault("F30")
def test_learner_is_ended_and_started_again_when_it_hangs(hold) -> None:
    held = hold(HANGS, WELL)
    held.learner.finished("run-00000")
    held.until(held.is_state("refitting"))
    held.clock.advance(61)
    held.until(held.is_state("ended"))
    assert "no sign for 60 s" in held.learner.trouble
    held.clock.advance(1)
    held.until(lambda: bool(held.offers))


def test_learner_that_others_keep_from_working_is_ended_once_it_has_had_its_time(hold) -> None:
    held = hold(BURNS, hang_s=2.0)
    held.learner.finished("run-00000")
    held.until(held.is_state("refitting"))
    burner = psutil.Process(held.learner.pid)
    held.until(lambda: burner.cpu_times().user > 0.1)
    held.clock.advance(3)
    assert held.learner.poll() == [] and held.learner.state == "refitting"
    held.until(lambda: burner.cpu_times().user > 2.1, patience_s=60.0)
    held.clock.advance(3)
    held.until(held.is_state("ended"))
    assert "no sign for 2 s" in held.learner.trouble


@pytest.mark.fault("F29")
def test_learner_is_given_up_when_its_restarts_are_spent(hold) -> None:
    held = hold(DIES, restarts=1)
    held.learner.finished("run-00000")
    held.until(held.is_state("ended"))
    held.clock.advance(2)
    held.until(held.is_state("given up"))
    held.clock.advance(100)
    assert held.learner.poll() == [] and held.starts == 2


def test_learner_is_given_up_at_once_when_it_refuses_its_job(hold) -> None:
    held = hold("sys.exit(78)", restarts=3)
    held.until(lambda: held.learner.state == "given up")
    assert held.starts == 1 and "refused its job" in held.learner.trouble


def test_learner_waits_for_the_next_episode_when_nothing_came_of_a_refit(hold) -> None:
    held = hold(FAILS)
    held.until(held.is_state("waiting"))
    held.learner.finished("run-00000")
    held.until(lambda: held.learner.trouble == "no successful episodes")
    assert held.learner.state == "waiting" and held.offers == []


def test_process_ends_when_closed(hold) -> None:
    held = hold(HANGS)
    held.until(held.is_state("waiting"))
    process = held.learner._process
    held.learner.close(timeout_s=0.2)
    assert process.poll() is not None


@pytest.mark.parametrize(
    ("job", "says", "code"),
    [({"wrong": 1}, "unknown key 'wrong'", 78), ({"policy_folder": "absent", "run_folder": "."}, "no such file", 78)],
    ids=["unknown key", "no policy"],
)
def test_entry_point_says_what_is_wrong_when_the_job_is_bad(job: dict, says: str, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "armtune_policies.learn.process", json.dumps(job)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True, cwd=tmp_path) as process:
        assert process.wait(timeout=60) == code
        said = process.stderr.read()
    assert says in said and "Traceback" not in said
