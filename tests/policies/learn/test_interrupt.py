"""Ctrl-C is heard where it does no harm; a second one at once."""

from __future__ import annotations

import signal
import threading

import pytest

from armtune_policies.learn.interrupt import held


def test_it_waits_to_be_asked_for_and_a_second_does_not() -> None:
    with held() as is_asked:
        assert not is_asked()
        signal.raise_signal(signal.SIGINT)
        assert is_asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_elses_stays_theirs() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with held() as is_asked:
            signal.raise_signal(signal.SIGINT)
        assert came == [signal.SIGINT] and not is_asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_leaves_it_to_the_first() -> None:
    said: list[bool] = []

    def work() -> None:
        with held() as is_asked:
            said.append(is_asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=10.0)
    assert said == [False] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
