"""The guard against a main loop that is stuck, in a process of its own; as part of a node: ``test_managed_node.py``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from armtune_safety.hang import DEAF, EXIT_HUNG

HANG_S = 0.2
LOOP = """
import ctypes, sys, time
from armtune_safety.hang import HangGuard

def stuck():
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        time.sleep(0.01)

def deaf():
    ctypes.PyDLL(None).sleep(20)  # a call that keeps the interpreter's lock

hang_s, long_s, excused = float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "excused"
guard = HangGuard(lambda: excused, hang_s=hang_s, look_s=0.05)
if sys.argv[1] == "works":
    for _ in range(50):
        time.sleep(long_s / 50)
        guard.alive()
elif sys.argv[1] == "waits":
    time.sleep(long_s)
else:
    globals()[sys.argv[1]]()
guard.close()
"""


def run(how: str, excused: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOOP, how, str(HANG_S), str(2 * DEAF * HANG_S), excused]
    return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)


@pytest.mark.fault("F26")
@pytest.mark.parametrize(("how", "says"), [("stuck", "stuck in one piece of work"), ("deaf", "Timeout (0:00:01.2")])
def test_loop_that_is_stuck_ends_and_says_where_even_if_nothing_else_can_run(how: str, says: str) -> None:
    done = run(how)
    assert done.returncode == EXIT_HUNG and says in done.stderr and f" in {how}" in done.stderr


@pytest.mark.parametrize(("how", "excused"), [("works", ""), ("waits", "excused")])
def test_loop_that_works_or_is_excused_goes_on_for_longer_than_any_bound(how: str, excused: str) -> None:
    done = run(how, excused)
    assert (done.returncode, done.stderr) == (0, "")
