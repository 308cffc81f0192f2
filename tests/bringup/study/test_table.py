"""What a study's table says of its cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_bringup.study.table import interquartile_mean, markdown, plot, resampled, summary


def cell(forward: int, backward: int, steps: int = 0) -> dict:
    success = {"forward": [forward, 10], "backward": [backward, 10]}
    return {
        "success": success,
        "curve": [{"steps": steps // 2, "success": success}, {"steps": steps, "success": success}],
    }


def test_interquartile_mean_counts_the_quartiles_in_part() -> None:
    assert interquartile_mean([1.0, 0.0, 0.6, 0.2, 0.4]) == pytest.approx((0.75 * 0.2 + 0.4 + 0.75 * 0.6) / 2.5)
    assert interquartile_mean([0.0, 0.3, 0.5, 1.0]) == pytest.approx(0.4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_interquartile_mean_lies_between_the_extremes(values: list[float]) -> None:
    assert min(values) - 1e-9 <= interquartile_mean(values) <= max(values) + 1e-9


def test_an_interval_is_wide_when_seeds_differ() -> None:
    alike = interquartile_mean(resampled([50, 50, 50], [100, 100, 100]))
    apart = interquartile_mean(resampled([0, 50, 100], [100, 100, 100]))
    assert np.ptp(np.percentile(apart, [2.5, 97.5])) > 3 * np.ptp(np.percentile(alike, [2.5, 97.5]))


def test_chance_in_one_cell_says_nothing_of_chance_in_another() -> None:
    one, other = (resampled([80] * 5, [100] * 5, cell=cell).mean(axis=1) for cell in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    seeds = [resampled([20, 80], [1000, 1000], cell=cell).round() for cell in (0, 1)]
    np.testing.assert_array_equal(*seeds)  # but the seeds drawn are the same


def test_practice_is_set_against_its_control() -> None:
    found = summary({"control": {0: cell(4, 4), 1: cell(6, 4)}, "online": {0: cell(9, 9), 1: cell(9, 8)}})
    assert found["cells"]["online"]["worst"] == 0.85 and found["cells"]["control"]["forward"] == [10, 20]
    against = found["online_minus"]["control"]
    assert against["seeds"] == 2 and against["iqm"] == pytest.approx(0.425) and against["ci95"][0] > 0
    assert "| 90 85 |" in markdown(found, {"online": "after practice"})


def test_a_plot_is_drawn_when_cells_are_missing() -> None:
    assert plot({"offline": {0: cell(4, 4)}, "online": {0: cell(9, 9, 1000)}}, "one seed").startswith(b"\x89PNG")
    assert plot({"bc": {0: cell(4, 4)}}, "no practice yet").startswith(b"\x89PNG")
