from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_calibration.offset import change, time_offset


def motion(t_s: np.ndarray, seed: int) -> np.ndarray:
    """Speed of an arm that goes to and fro with stops, at times [s]."""
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.uniform(0.8, 1.6, 12))
    return sum(np.exp(-(((t_s - at) / wide) ** 2)) for at, wide in zip(starts, rng.uniform(0.08, 0.25, 12)))


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.2, 0.3), st.integers(0, 1000))
def test_lag_is_found_to_milliseconds(lag_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arm_s, image_s = np.arange(0, 12, 0.01), np.sort(np.arange(0, 12, 1 / 30) + rng.uniform(0, 0.005, 360))
    seen = 40 * motion(image_s - lag_s, seed) + 3 + rng.normal(0, 1.0, len(image_s))
    found = time_offset((image_s + 1e6) * 1e9, seen, (arm_s + 1e6) * 1e9, motion(arm_s, seed))
    assert found.offset_s == pytest.approx(lag_s, abs=0.012) and found.sd_s < 0.02


T = np.arange(0, 8, 0.02)


@pytest.mark.parametrize(
    ("image", "arm", "says"),
    (
        ((T, motion(T, 0)), (T + 100, motion(T, 0)), "stamped by the same clock"),
        ((T, motion(T, 0)), (T, motion(T, 5) * 0), "joint states: nothing moved"),
        ((T, motion(T, 0)), (T, np.random.default_rng(0).normal(size=len(T))), "to look alike, got a correlation"),
        ((T[::-1], motion(T, 0)), (T, motion(T, 0)), "pictures: expected stamps that grow"),
        ((T, motion(T, 0) * np.nan), (T, motion(T, 0)), "finite speeds"),
        ((T[:5], T[:5]), (T, motion(T, 0)), "at least 20 stamps"),
    ),
)
def test_records_that_cannot_say_are_refused(image: tuple, arm: tuple, says: str) -> None:
    with pytest.raises(ValueError, match=says) as why:
        time_offset(image[0] * 1e9, image[1], arm[0] * 1e9, arm[1])
    assert "\n" not in str(why.value)


def test_change_of_a_picture_is_by_the_second() -> None:
    dark, light = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 10, np.uint8)
    assert change((0, dark), (500_000_000, light)) == (250_000_000, 20.0)
