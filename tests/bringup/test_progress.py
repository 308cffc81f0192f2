"""Long work shows itself: bars on a terminal, lines in a log."""

from __future__ import annotations

import pytest

from armtune_bringup import progress
from armtune_bringup.progress import Bars, shown_by


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "TOLD_S", 0.0)
    with Bars() as bar:
        shown_by(bar)("practising", 3, 12)
        bar.advance(bar.add_task("looking"))
    assert capsys.readouterr().out.splitlines() == ["practising: 3 of 12", "looking: 1 of 100"]


def test_short_work_and_what_is_not_to_be_shown_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bars() as bar:
        shown_by(bar)("practising", 12, 12)
    monkeypatch.setattr(progress, "TOLD_S", 0.0)
    with Bars(disable=True) as bar:
        shown_by(bar)("practising", 3, 12)
    assert capsys.readouterr().out == ""
