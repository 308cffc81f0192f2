"""Where pages leave what they ask of the graph, and the node's thread takes it from. Pure, thread-safe."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from armtune_policies.contract import Clock

from .acts import STOP, Act

ANSWER_S = 3.0
MOST = 64
"""More open questions are refused: somebody floods us."""


@dataclass
class Wish:
    """One request on its way; its answer is (done, why not)."""

    act: Act
    told: dict[str, Any]
    until_ns: int
    answer: Future[tuple[bool, str]] = field(default_factory=Future)

    def say(self, done: bool, why: str) -> None:
        """Answer, once; later answers are ignored."""
        if not self.answer.done():
            self.answer.set_result((done, why))


class Desk:
    """Pages ``ask``; the node ``take``s, and says the answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._new: deque[Wish] = deque()
        self._open: list[Wish] = []

    def ask(self, act: Act, told: dict[str, Any]) -> Future[tuple[bool, str]]:
        """Leave a request; the same one, still open, is joined: a thousand STOPs are one, which is never too many."""
        with self._lock:
            self._open = [wish for wish in self._open if not wish.answer.done()]
            for wish in self._open:
                if wish.act is act and wish.told == told:
                    return wish.answer
            wish = Wish(act, told, self._clock.now_ns() + round(ANSWER_S * 1e9))
            if len(self._open) >= MOST and act is not STOP:
                wish.say(False, f"more than {MOST} requests are open; wait for their answers")
                return wish.answer
            self._open.append(wish)
            self._new.append(wish)
            return wish.answer

    def take(self) -> list[Wish]:
        """Return what is new, and give up on what nobody answered in time."""
        now_ns = self._clock.now_ns()
        with self._lock:
            new, self._new = list(self._new), deque()
            late = [wish for wish in self._open if now_ns > wish.until_ns]
        for wish in late:
            wish.say(False, f"{wish.act.node} did not answer within {ANSWER_S:g} s; it may not have been done")
        return new
