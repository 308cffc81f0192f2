"""Random faults of processes, and what holds more from hour to hour: what ``soak`` and ``unattended`` share."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil

LASTS_S, PAUSE_S, SAMPLE_S = (0.3, 2.5), (0.5, 4.0), 60.0
HANG, KILL, CHILD = "SIGSTOP of ", "kill -9 of ", "kill -9 of what learns"
GREW_MB, GREW_FILES = 64.0, 32
"""What a process may hold more, from its first sample to its newest."""


@dataclass(frozen=True)
class Upset:
    """One fault: what, for how long, and how long nothing happens after it."""

    kind: str
    lasts_s: float
    pause_s: float


def upsets(seed: int, kinds: Sequence[str]) -> Iterator[Upset]:
    """Draw faults without end, every kind once in each round."""
    rng = np.random.default_rng(seed)
    while True:
        for index in rng.permutation(len(kinds)):
            yield Upset(kinds[index], float(rng.uniform(*LASTS_S)), float(rng.uniform(*PAUSE_S)))


@contextmanager
def struck(kind: str, pids: Mapping[str, int]) -> Iterator[bool]:
    """Do one of the three kinds to a node, for the length of the block; whether anybody was there to do it to.

    Args:
        kind: ``HANG`` or ``KILL`` and a node's name, or ``CHILD``.
        pids: The nodes that run, by name.
    """
    number = signal.SIGSTOP if kind.startswith(HANG) else signal.SIGKILL
    name = "learner_node" if kind == CHILD else kind.removeprefix(KILL).removeprefix(HANG)
    done = [process for process in _processes(kind, pids.get(name, 0)) if _signal(process, number)]
    try:
        yield bool(done)
    finally:  # one that stays stopped could not even be ended
        for process in done if number == signal.SIGSTOP else ():
            _signal(process, signal.SIGCONT)


def _processes(kind: str, pid: int) -> list[psutil.Process]:
    try:
        return [] if not pid else psutil.Process(pid).children() if kind == CHILD else [psutil.Process(pid)]
    except psutil.Error:
        return []


def _signal(process: psutil.Process, number: int) -> bool:
    try:
        process.send_signal(number)
    except psutil.Error:  # it ended meanwhile; another one of its number is not touched
        return False
    return True


class Growth:
    """What each process held when it was first looked at, and holds now."""

    def __init__(self) -> None:
        self._first: dict[psutil.Process, tuple[float, int]] = {}

    def look(self, pids: Mapping[str, int]) -> list[str]:
        """Return whose memory or open files grew."""
        found = []
        for name, pid in pids.items():
            try:
                process = psutil.Process(pid)
                mb, files = process.memory_info().rss / 2**20, process.num_fds()
            except psutil.Error:  # it ended meanwhile
                continue
            first_mb, first_files = self._first.setdefault(process, (mb, files))
            if not mb - first_mb <= GREW_MB:
                found.append(f"O9: {name} holds {mb:.0f} MB, at first {first_mb:.0f}")
            if files - first_files > GREW_FILES:
                found.append(f"O9: {name} has {files} open files, at first {first_files}")
        return found
