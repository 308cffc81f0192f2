"""Files that nobody waits for: their order, the last value, and a disk that takes none."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from armtune_policies.episode.course import Counts
from armtune_policies.store import aside
from armtune_policies.store.aside import Aside
from armtune_policies.store.files import read_json, write_json
from armtune_runtime.practising import KeptCounts

WAIT_S = 10.0


@pytest.fixture
def made() -> Iterator[Aside]:
    with closing(Aside()) as one:
        yield one


@pytest.mark.fault("F36")
def test_nobody_waits_for_a_slow_disk_and_the_last_value_is_written(
    made: Aside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_free, begun, order = threading.Event(), threading.Event(), list[tuple[str, Any]]()

    def slowly(path: Path, value: Any) -> None:
        begun.set()
        assert is_free.wait(WAIT_S)
        order.append((path.name, value))
        write_json(path, value)

    monkeypatch.setattr(aside, "write_json", slowly)
    made.write(tmp_path / "a", 1)
    assert begun.wait(WAIT_S)
    for name, value in (("a", 2), ("b", 3), ("a", 4)):
        made.write(tmp_path / name, value)
    assert not order
    is_free.set()
    made.close()
    assert order == [("a", 1), ("a", 4), ("b", 3)] and read_json(tmp_path / "a") == 4


@pytest.mark.fault("F33")
def test_full_disk_ends_nobody_and_the_next_counts_are_whole(
    made: Aside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptCounts(tmp_path, write=made.write)
    real, is_full = os.fsync, True

    def fsync(descriptor: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    kept.keep(Counts(episodes=1))
    assert made._last is not None and made._last.result(timeout=WAIT_S) is None
    assert "no space left to write" in made.trouble and not (tmp_path / "practice.json").exists()
    is_full = False
    kept.keep(Counts(episodes=2))
    made.close()
    assert not made.trouble and KeptCounts(tmp_path).counts == Counts(episodes=2)
