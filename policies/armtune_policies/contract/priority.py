"""Which process goes first when there are too few processors: one way to ask, that works in sessions too."""

from __future__ import annotations

import contextlib
import os
import time

ASK_S, TRIES = 0.11, 5
"""Who is not root may ask for a session every tenth of a second, all processes of the machine together."""


def ask_priority(nice: int) -> int:
    """Ask for a niceness against every process of the machine; return the one that the calling thread has then.

    Each of our processes leads a session, and Linux shares processors out between sessions first: niceness alone
    orders what is within one (autogroup in sched(7)). So the session asks too, where this process leads it. What the
    machine does not allow stays as it is.

    Args:
        nice: -20 (goes first) to 19. The calling thread takes it, and every thread that it starts from then on.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            _ask_for_session(nice)
    return os.getpriority(os.PRIO_PROCESS, 0)


def _ask_for_session(nice: int) -> None:
    for _ in range(TRIES):
        try:
            with os.fdopen(os.open("/proc/self/autogroup", os.O_WRONLY), "w") as told:
                told.write(str(nice))
            return
        except BlockingIOError:
            time.sleep(ASK_S)
