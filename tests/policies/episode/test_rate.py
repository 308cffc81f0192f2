from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.episode.rate import wilson


def test_wilson_agrees_with_published_values() -> None:
    # Brown, Cai, DasGupta (2001): the score interval; 0 of 10 and 5 of 10 by hand.
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    # 16 of 20 is 58 to 92 %, 12 of 20 is 39 to 78 %.
    assert wilson(16, 20) == pytest.approx((0.584, 0.919), abs=2e-3)
    assert wilson(12, 20) == pytest.approx((0.387, 0.781), abs=2e-3)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_stays_within_0_and_1(case: tuple[int, int]) -> None:
    low, high = wilson(*case)
    assert 0.0 <= low <= case[0] / case[1] <= high <= 1.0


def test_a_rate_of_1_is_not_above_its_interval_for_rounding() -> None:
    assert wilson(50, 50)[1] == 1.0


@pytest.mark.parametrize("case", [(1, 0), (2, 1), (-1, 3)])
def test_an_interval_is_refused_when_the_counts_are_impossible(case: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes <= count"):
        wilson(*case)
