"""-1..1 and physical units are each other's inverse."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ActionSpec
from armtune_policies.learn.scaling import ActionScale

UNIT = st.lists(st.floats(-1.0, 1.0, width=32), min_size=7, max_size=7)


@given(UNIT, st.sampled_from([5.0, 10.0, 50.0]))
def test_an_action_comes_back_when_mapped_there_and_back(unit: list[float], rate_hz: float) -> None:
    scale = ActionScale(ActionSpec(rate_hz=rate_hz))
    np.testing.assert_allclose(scale.to_unit(scale.to_physical(unit)), np.float32(unit), atol=1e-6)


def test_bounds_are_the_ends_and_beyond_them_is_cut() -> None:
    spec = ActionSpec()
    scale, high = ActionScale(spec), np.array(spec.high)
    np.testing.assert_allclose(scale.to_physical(np.ones(7)), high, atol=1e-7)
    np.testing.assert_allclose(scale.to_physical(-np.ones(7)), spec.low, atol=1e-7)
    assert scale.to_unit(2 * high).tolist() == [1.0] * 7
