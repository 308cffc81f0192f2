"""Whether the machine kept time while a test ran.

Bounds in real time say nothing of a machine that stands still: a host that is overbooked takes the processors away for
longer than the gate lets joint states age. So one watcher per processor sleeps, and notes when it woke late; the kernel
says what the host took. A test of real time that failed, was tried anew, and met such a machine in each try is
**unjudged**: a skip with what was measured. What failed once while the machine kept time has failed, and so has what a
row says never happens (`rerun_except` in pyproject.toml), whatever the machine did.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from casebook import UNJUDGED

STALL_MS = 50.0
"""Half of what joint states may age before the gate stops the arm (``safety.joint_state_age_s``)."""
TAKEN = 0.1
"""Part of the processors' time that the host took."""
PROC_STAT = Path("/proc/stat")
WATCHER = Path(__file__).parent / "fixtures/stalls.py"


def taken_s() -> float:
    """Return the processor time that the host took from this machine since it started, of all processors [s]."""
    if not PROC_STAT.exists():
        return 0.0
    return int(PROC_STAT.read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def is_unjudged(report: pytest.TestReport) -> bool:
    """Whether a report is such a skip."""
    return report.skipped and isinstance(report.longrepr, tuple) and report.longrepr[-1].startswith(UNJUDGED)


class Timekeeper:
    """A pytest plugin, in each process that runs tests; its watchers start with the first test of real time."""

    def __init__(self, config: pytest.Config) -> None:
        self._reruns = int(getattr(config.option, "reruns", None) or 0)
        self._never = [re.compile(pattern) for pattern in config.getini("rerun_except")]
        self._watched: Path | None = None
        self._watchers: list[subprocess.Popen[bytes]] = []
        self._began = (0, 0.0)
        self._kept: dict[str, bool] = {}
        """By test: whether the machine kept time in a try of it that failed."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Any:
        if item.get_closest_marker("alone"):
            self._start()
            self._began = (time.monotonic_ns(), taken_s())
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if not report.failed or not item.get_closest_marker("alone"):
            return report
        said = self._stood_still()
        self._kept[item.nodeid] = self._kept.get(item.nodeid, False) or not said
        is_last = getattr(item, "execution_count", 1) > self._reruns
        error = f"{type(call.excinfo.value).__name__}: {call.excinfo.value}" if call.excinfo else ""
        if is_last and not self._kept[item.nodeid] and not any(never.search(error) for never in self._never):
            report.outcome = "skipped"
            why = f"{UNJUDGED}, the machine did not keep time: {said}; {error[:200]}"
            report.longrepr = (*item.location[:2], why)
        return report

    def pytest_unconfigure(self) -> None:
        for watcher in self._watchers:
            watcher.kill()
            watcher.wait()
        if self._watched:
            self._watched.unlink()

    def _start(self) -> None:
        if self._watched:
            return
        handle, name = tempfile.mkstemp(suffix=".stalls")
        os.close(handle)
        self._watched = Path(name)
        for cpu in os.sched_getaffinity(0):
            command = [sys.executable, "-S", str(WATCHER), str(cpu), str(round(STALL_MS * 1e6)), name]
            self._watchers.append(subprocess.Popen(command, start_new_session=True))  # which hears no Ctrl-C

    def _stood_still(self) -> str:
        """Return how the machine did not keep time since the test began; blank where it did."""
        began_ns, before_s = self._began
        stalls = [line.split() for line in self._watched.read_text().splitlines()] if self._watched else []
        worst_ms = max((int(late) / 1e6 for at, late in stalls if int(at) > began_ns), default=0.0)
        lasted_s = (time.monotonic_ns() - began_ns) / 1e9 * len(self._watchers)
        taken = (taken_s() - before_s) / max(lasted_s, 1e-3)
        said = [f"a processor stood still for {worst_ms:.0f} ms"] if worst_ms else []
        return ", ".join([*said, f"the host took {taken:.0%} of them"] if taken > TAKEN else said)
