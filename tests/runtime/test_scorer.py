from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np
import pytest

from armtune_policies.contract import ManualClock
from armtune_runtime.scorer import Answer, Question, Scorer

WAIT_S = 10.0


class Bench:
    """A scorer whose model answers only when let; answers land in a queue."""

    def __init__(self) -> None:
        self.clock, self.go, self.told = ManualClock(), threading.Semaphore(0), SimpleQueue[Answer]()
        self.begun = threading.Semaphore(0)
        self.scorer = Scorer(self.told.put, 0.5, self.clock)

    def score(self, images: dict[str, np.ndarray], sentence: str) -> float:
        self.begun.release()
        if not self.go.acquire(timeout=WAIT_S):
            raise TimeoutError
        if sentence == "broken":
            raise ValueError("the graph refused its inputs")
        return 0.7

    def ask(self, step: int, sentence: str = "open") -> None:
        self.scorer.ask(Question("run-00000", step, {}, sentence, self.clock.now_ns(), self))

    def answer(self) -> tuple[int, float | None]:
        told = self.told.get(timeout=WAIT_S)
        return told.question.step, told.probability


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.go.release(100)
    assert made.scorer.close(WAIT_S)


def test_answer_carries_the_probability_when_the_model_is_in_time(bench: Bench) -> None:
    bench.ask(0)
    bench.go.release()
    assert bench.answer() == (0, 0.7)


def test_answer_is_unknown_when_the_deadline_passes_and_told_again_when_it_comes(bench: Bench) -> None:
    bench.ask(0)
    bench.scorer.expire()
    assert bench.told.empty()
    bench.clock.advance(0.5)
    bench.scorer.expire()
    assert bench.answer() == (0, None)
    bench.go.release()
    assert bench.answer() == (0, 0.7)


def test_waiting_question_is_unknown_when_a_newer_one_takes_its_place(bench: Bench) -> None:
    bench.ask(0)
    assert bench.begun.acquire(timeout=WAIT_S)
    bench.ask(1)
    bench.ask(2)
    assert bench.answer() == (1, None)
    bench.go.release(2)
    assert [bench.answer(), bench.answer()] == [(0, 0.7), (2, 0.7)]


def test_asking_never_blocks_when_the_model_hangs(bench: Bench) -> None:
    bench.ask(0)
    assert bench.begun.acquire(timeout=WAIT_S)
    for step in range(1, 100):
        bench.ask(step)
    bench.clock.advance(11)
    bench.scorer.expire()
    answered = {bench.answer() for _ in range(100)}
    assert answered == {(step, None) for step in range(100)}
    assert bench.scorer.busy_s == pytest.approx(11)


def test_answer_is_unknown_with_the_reason_when_the_model_fails(bench: Bench) -> None:
    bench.ask(0, "broken")
    bench.go.release()
    told = bench.told.get(timeout=WAIT_S)
    assert (told.probability, told.why) == (None, "the graph refused its inputs")
