"""Ctrl-C waits until what is under way is whole: nothing is saved from the middle of an update."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C has come; who asks ends then. A second Ctrl-C is the usual one.

    Where Ctrl-C is somebody else's, or this is not the main thread, it stays so and nothing ever has come.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if is_ours := signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, note)
        except ValueError:  # not the main thread
            is_ours = False
    try:
        yield lambda: bool(came)
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
