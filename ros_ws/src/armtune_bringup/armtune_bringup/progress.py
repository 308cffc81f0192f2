"""Shows long work as it goes, and hears Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C, SIGTERM or SIGHUP has come; a second Ctrl-C is the usual one."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before[signal.SIGINT] or signal.SIG_DFL)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


TOLD_S = 30.0
"""Seconds between two lines where there is no terminal."""


class Bars(Progress):
    """Bars on a terminal; elsewhere, as in a log, a line now and then of whatever moves. Use as a context manager."""

    def __init__(self, *, transient: bool = False, disable: bool = False) -> None:
        super().__init__(transient=transient, disable=disable or not sys.stdout.isatty())
        self._tells, self._told_s = self.disable and not disable, time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1.0) -> None:
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        if not self._tells or time.monotonic() - self._told_s < TOLD_S:
            return
        self._told_s, task = time.monotonic(), self.tasks[self.task_ids.index(task_id)]
        of = "" if task.total is None else f" of {task.total:.0f}"
        left = "" if not task.time_remaining else f", {task.time_remaining / 60:.0f} min left"
        self.console.out(f"{task.description}: {task.completed:.0f}{of}{left}")


class PracticeProgress:
    """A bar on a terminal, a line per finished episode elsewhere. Use as a context manager."""

    def __init__(self, episodes: int, steps: int, say: Callable[[str], None] = print) -> None:
        self._say, self._live = say, sys.stdout.isatty()
        self._by_steps, total = (not episodes and bool(steps)), (episodes or steps or None)
        self._tally = {"forward": [0, 0], "backward": [0, 0]}
        self._seen, self._steps, self._earlier = "", 0, 0
        columns = (TextColumn("practice"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, disable=not self._live)
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> PracticeProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, feedback: Any) -> None:
        """Take one feedback of the Practice action: its episode state and steps so far."""
        if self._earlier + feedback.steps < self._steps:  # another goal: its steps count from 0
            self._earlier = self._steps
        state, self._steps = feedback.state, self._earlier + feedback.steps
        if state.outcome and state.episode_id != self._seen:
            self._seen = state.episode_id
            if state.outcome != "aborted" and state.direction in self._tally:
                counts = self._tally[state.direction]
                counts[0] += state.outcome == "success"
                counts[1] += 1
            if not self._live:
                self._say(f"{state.episode_id} {state.direction}: {state.outcome} ({self.words()})")
        done = self._steps if self._by_steps else self.finished
        self._bar.update(self._task, completed=done, description=f"{state.direction} {state.phase}, {self.words()}")

    @property
    def finished(self) -> int:
        """Episodes that ended in success or timeout."""
        return sum(tried for _, tried in self._tally.values())

    def words(self) -> str:
        """Successes of tries per direction, and steps."""
        return (
            ", ".join(f"{name} {won}/{tried}" for name, (won, tried) in self._tally.items()) + f", {self._steps} steps"
        )

    def summary(self, result: Any) -> str:
        """One sentence about the whole practice, from the action's result."""
        forward = f"forward {result.forward_successes}/{result.forward_episodes}"
        backward = f"backward {result.backward_successes}/{result.backward_episodes}"
        done = f"practised {result.episodes} episodes, {result.steps} steps"
        return f"{done}: {forward}, {backward}; {result.reason or 'done'}"


def shown_by(bar: Progress) -> Callable[[str, int, int], None]:
    """Return what shows each kind of work as a bar of its own."""
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what)
        bar.update(tasks[what], completed=done, total=total)

    return show
