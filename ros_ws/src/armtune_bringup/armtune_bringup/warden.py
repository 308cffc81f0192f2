"""Ends the nodes when the runner itself is killed, so that none is left behind.

Run as a file of its own, standard library only. Reads ``+<pid>`` and ``-<pid>`` lines
from the pipe on standard input; the pipe's end means that the runner is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE_S = 4.0


def alive(group: int) -> bool:
    """Whether a process group still has a process that is not a zombie."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_group(group: int, number: int) -> None:
    """Signal a process group that may be gone; never our own (0) or everybody's (1)."""
    if group <= 1:
        return
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def end(groups: list[int], grace_s: float = GRACE_S) -> None:
    """SIGINT, wait, SIGKILL what is left."""
    for group in groups:
        signal_group(group, signal.SIGINT)
    deadline = time.monotonic() + grace_s
    while any(alive(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in groups:
        signal_group(group, signal.SIGKILL)


def main() -> None:
    """Listen until the pipe ends, then end whatever was started and not reported ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, None] = {}
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            groups[pid] = None
        else:
            groups.pop(pid, None)
    end(list(groups))


if __name__ == "__main__":
    main()
