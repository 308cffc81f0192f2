"""Scores observations on a thread of its own, so that a hung model blocks nobody. Pure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from armtune_policies.contract import Clock
from armtune_policies.store.manifest import SessionLost

THREAD = "score"


@dataclass(frozen=True, eq=False)
class Question:
    """One observation to be scored: rgb8 at policy size by camera, uint8, (H, W, 3), and the sentence.

    ``model`` is who is asked, by its ``score``: the model in use may be another when the answer comes.
    """

    episode_id: str
    step: int
    images: Mapping[str, np.ndarray]
    sentence: str
    asked_ns: int
    model: Any


@dataclass(frozen=True)
class Answer:
    """What became of a question; ``probability`` is None when there is none, and ``why`` says so."""

    question: Question
    probability: float | None
    latency_s: float
    why: str = ""
    is_lost: bool = False
    """What runs the model is gone: it will not answer again."""


class Scorer:
    """One question at work, one waiting; each is answered by the deadline, if only by "unknown".

    ``tell`` is called from the thread or from ``ask`` and ``expire``. An answer that comes
    after its deadline is told as well: it may still patch the record.
    """

    def __init__(self, tell: Callable[[Answer], None], deadline_s: float, clock: Clock) -> None:
        self._tell, self._clock = tell, clock
        self._deadline_ns = round(deadline_s * 1e9)
        self._changed = threading.Condition()
        self._waiting: Question | None = None
        self._open: list[Question] = []
        self._busy_since_ns = -1
        self._quit = False
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Hand in a question; returns at once. One that still waits gives way and is unknown."""
        with self._changed:
            dropped, self._waiting = self._waiting, question
            if dropped is not None and dropped in self._open:
                self._open.remove(dropped)
            else:
                dropped = None
            self._open.append(question)
            self._changed.notify()
        if dropped is not None:
            self._tell(Answer(dropped, None, self._age_s(dropped), "the model was busy until the next step came"))

    def expire(self) -> None:
        """Tell "unknown" for every question past its deadline; call it often."""
        with self._changed:
            late = [q for q in self._open if self._clock.now_ns() - q.asked_ns >= self._deadline_ns]
            self._open = [q for q in self._open if q not in late]
        for question in late:
            self._tell(Answer(question, None, self._age_s(question), "no answer by the deadline"))

    @property
    def busy_s(self) -> float:
        """For how long the question at work has been at work; 0 when there is none."""
        since_ns = self._busy_since_ns
        return (self._clock.now_ns() - since_ns) / 1e9 if since_ns >= 0 else 0.0

    def close(self, timeout_s: float = 1.0) -> bool:
        """End the thread; False when the model would not let it."""
        with self._changed:
            self._quit = True
            self._changed.notify()
        self._thread.join(timeout=timeout_s)
        return not self._thread.is_alive()

    def _age_s(self, question: Question) -> float:
        return (self._clock.now_ns() - question.asked_ns) / 1e9

    def _work(self) -> None:
        while (question := self._next()) is not None:
            answer = self._answer(question)
            with self._changed:
                self._busy_since_ns = -1
                was_open = question in self._open
                if was_open:
                    self._open.remove(question)
            if was_open or answer.probability is not None:
                self._tell(answer)

    def _next(self) -> Question | None:
        """Wait for a question and take it; None at the end."""
        with self._changed:
            while not self._quit:
                if self._waiting is not None:
                    question, self._waiting = self._waiting, None
                    self._busy_since_ns = self._clock.now_ns()
                    return question
                self._changed.wait(timeout=1.0)
        return None

    def _answer(self, question: Question) -> Answer:
        try:
            probability = question.model.score(question.images, question.sentence)
        except (ValueError, OSError, RuntimeError) as why:
            return Answer(question, None, self._age_s(question), str(why), isinstance(why, SessionLost))
        return Answer(question, probability, self._age_s(question))
