"""The faults of processes that soaks draw: in which order, what they do to whom, and who grew."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from benchmarks._upsets import CHILD, GREW_FILES, GREW_MB, HANG, KILL, Growth, struck, upsets
from benchmarks.soak import KINDS

PARENT = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"


@pytest.fixture
def node() -> Iterator[tuple[psutil.Process, psutil.Process]]:
    """A process that learns by a child of its own: it, and the child."""
    started = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    child = psutil.Process(int(started.stdout.readline()))
    yield psutil.Process(started.pid), child
    for process in (child, started):
        if psutil.pid_exists(process.pid):
            process.kill()
    started.wait(timeout=5.0)
    started.stdout.close()


def comes(is_so: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait for what a signal does: a process takes it when it has the processor."""
    end_s = time.monotonic() + within_s
    while not (found := is_so()) and time.monotonic() < end_s:
        time.sleep(0.005)
    return found


def test_every_kind_of_fault_comes_once_a_round_and_the_seed_says_in_which_order() -> None:
    drawn = [one.kind for one in itertools.islice(upsets(3, KINDS), 3 * len(KINDS))]
    for at in range(0, len(drawn), len(KINDS)):
        assert sorted(drawn[at : at + len(KINDS)]) == sorted(KINDS)
    assert drawn == [one.kind for one in itertools.islice(upsets(3, KINDS), len(drawn))]


def test_one_that_hangs_goes_on_after_the_block(node: tuple[psutil.Process, psutil.Process]) -> None:
    with struck(f"{HANG}learner_node", {"learner_node": node[0].pid}) as was_done:
        assert was_done and comes(lambda: node[0].status() == psutil.STATUS_STOPPED)
    assert comes(lambda: node[0].status() != psutil.STATUS_STOPPED)


@pytest.mark.parametrize(("kind", "which"), [(f"{KILL}learner_node", 0), (CHILD, 1)])
def test_the_one_meant_is_killed(kind: str, which: int, node: tuple[psutil.Process, psutil.Process]) -> None:
    with struck(kind, {"learner_node": node[0].pid}) as was_done:
        assert was_done
    struck_one = node[which]
    assert struck_one in psutil.wait_procs([struck_one], timeout=5.0)[0] or struck_one.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("kind", [f"{HANG}gate_node", f"{KILL}gate_node", CHILD])
@pytest.mark.parametrize("pids", [{}, {"gate_node": 2**22 + 1, "learner_node": 2**22 + 1}])
def test_nobody_is_there_to_strike(kind: str, pids: dict[str, int]) -> None:
    with struck(kind, pids) as was_done:
        assert not was_done


def test_process_that_grows_is_found() -> None:
    growth, pids = Growth(), {"this": os.getpid()}
    assert growth.look({**pids, "gone": 2**22 + 1}) == []
    held = np.ones(round((GREW_MB + 8) * 2**17))
    files = [open(os.devnull) for _ in range(GREW_FILES + 8)]
    found = growth.look(pids)
    for file in files:
        file.close()
    assert held.size and ["MB" in text for text in found] == [True, False], found
