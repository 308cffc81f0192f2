from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone  # beside others it would be starved itself
TESTS = Path(__file__).parent
INNER = """
import os, pathlib, signal, time
import pytest

pytestmark = pytest.mark.alone
TRIES = pathlib.Path(__file__).with_suffix(".tries")

def stand_still():
    watchers = [int(pid) for pid in pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        time.sleep(0.2)
        for watcher in watchers:
            os.kill(watcher, number)
    time.sleep(0.1)

def test_it():
    tries = len(TRIES.read_text()) if TRIES.exists() else 0
    TRIES.write_text("x" * (tries + 1))
    if STILL[tries]:
        stand_still()
    assert False, SAYS
"""
ALWAYS, ONCE_KEPT, KEPT = (True, True), (False, True), (False, False)


@pytest.mark.parametrize(
    ("still", "says", "ends"),
    (
        (ALWAYS, "late", "unjudged, the machine did not keep time: a processor stood still for"),
        (ALWAYS, "never: motion", "1 failed"),
        (ONCE_KEPT, "late", "1 failed"),
        (KEPT, "late", "1 failed"),
    ),
)
def test_failure_is_unjudged_when_the_machine_stood_still_in_each_try(
    tmp_path: Path, still: tuple[bool, bool], says: str, ends: str
) -> None:
    (tmp_path / "test_inner.py").write_text(INNER.replace("STILL", repr(still)).replace("SAYS", repr(says)))
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path[:0] = [{str(TESTS)!r}, {str(TESTS / 'faults')!r}]\n"
        "from timekeeper import Timekeeper\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(Timekeeper(config))\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\nrerun_except = ^AssertionError: never: \n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--reruns", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ends in done.stdout, done.stdout + done.stderr
    assert ("1 skipped" in done.stdout) == ends.startswith("unjudged"), done.stdout
