from __future__ import annotations

import pytest

from armtune_bringup.report.facts import Practised, Rate, over_time


def test_the_interval_is_the_whole_range_when_nothing_was_tried() -> None:
    assert Rate(0, 0).interval == (0.0, 1.0) and Rate(0, 0).share == 0.0


def test_minutes_count_all_steps_and_the_window_slides() -> None:
    episodes = [Practised(i, "forward", "success" if i > 1 else "timeout", 30, "a") for i in range(4)]
    points = over_time(episodes, period_s=0.2, window=2)
    assert [minutes for minutes, _ in points] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [(r.successes, r.trials) for _, r in points] == [(0, 1), (0, 2), (1, 2), (2, 2)]
