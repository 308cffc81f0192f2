"""What a process can do to be on time, and what it is allowed to. Pure."""

from __future__ import annotations

import atexit
import gc
import os

from armtune_policies.contract.priority import ask_priority

NICE = -10


def be_punctual() -> int:
    """Spare what exists from garbage collection, ask for a place before others; return niceness.

    It is the calling thread that gets the place, and every thread it starts from then on.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries count what is left at the end, and complain
    gc.set_threshold(50_000, 20, 100)
    return ask_priority(NICE)


def step_back() -> None:
    """Give the place up again in this thread: its work may be late."""
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
