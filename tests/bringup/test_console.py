"""What of a node's log comes to the console."""

from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.console import LogTail, calm

TRACEBACK = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "    import y"]
CAUSE = "The above exception was the direct cause of the following exception:"


@pytest.mark.parametrize(
    "said", (["KeyboardInterrupt"], ["KeyboardInterrupt", CAUSE, *TRACEBACK, "ImportError: initialization failed"])
)
def test_traceback_is_dropped_when_ctrl_c_caused_it(said: list[str]) -> None:
    assert calm(["before", *TRACEBACK, *said, "after"]) == ["before", "after"]


def test_traceback_is_kept_when_something_else_caused_it() -> None:
    lines = [
        *TRACEBACK,
        "ValueError: no",
        "between",
        *TRACEBACK,
        "KeyError: 1",
        CAUSE,
        *TRACEBACK,
        "OSError: 2",
        "after",
    ]
    assert calm(lines) == lines


def test_reason_is_whole_when_its_line_is_cut(tmp_path: Path) -> None:
    path, reason = tmp_path / "node.log", "/long" * 100 + ": no such folder; name one that exists"
    tail = LogTail(path, "node")
    path.write_text(f"[ERROR] [1.5] {reason}\n")
    (line,) = tail.new_lines()
    assert tail.last_error == reason and len(line) == 200
