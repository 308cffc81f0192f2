"""Ends a process whose main loop is stuck in one piece of work, so that it is started again within its budget. Pure.

Silence has stopped the arm long before; but a process that hangs in a driver or a model ends for no exception, and
nobody would start it anew.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

HANG_S = 10.0
LOOK_S = 1.0
DEAF = 6
"""Times that bound ends a process where not even the guard runs, as in a driver that keeps the interpreter's lock."""
EXIT_HUNG = 1


class HangGuard:
    """Looks once a second from a thread of its own; the main loop says ``alive`` each time round.

    Stuck is what two looks in a row find so: a process that was stopped from outside and goes on is not. The timer of
    ``faulthandler`` cannot tell the two apart, so it is only the backstop: it needs no interpreter's lock.
    """

    def __init__(self, excused: Callable[[], bool], hang_s: float = HANG_S, look_s: float = LOOK_S) -> None:
        """Begin to look; ``excused`` says that long work is expected just now, as at start-up."""
        self._excused, self._hang_s, self._look_s = excused, hang_s, look_s
        self._done = threading.Event()
        self.alive()
        self._wind()
        threading.Thread(target=self._watch, name="hang-guard", daemon=True).start()

    def alive(self) -> None:
        self._alive_s = time.monotonic()

    def close(self) -> None:
        self._done.set()

    def _watch(self) -> None:
        seen_s = 0.0
        while not self._done.wait(timeout=self._look_s):
            self._wind()
            is_stuck = time.monotonic() - self._alive_s > self._hang_s
            if is_stuck and self._alive_s == seen_s:
                self._end()
            seen_s = self._alive_s if is_stuck else 0.0
        faulthandler.cancel_dump_traceback_later()

    def _wind(self) -> None:
        """Set the backstop anew."""
        if self._excused():
            self.alive()
            faulthandler.cancel_dump_traceback_later()
        else:
            faulthandler.dump_traceback_later(DEAF * self._hang_s, exit=True)

    def _end(self) -> None:
        print(f"error: stuck in one piece of work for more than {self._hang_s:g} s; this process ends itself",
              file=sys.stderr, flush=True)  # fmt: skip
        faulthandler.dump_traceback(sys.stderr)
        os._exit(EXIT_HUNG)
