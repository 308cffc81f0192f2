"""A camera's clock on the system's, and whether a camera sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_drivers.shots import ClockMap, Sight

pytestmark = pytest.mark.unhurried

PERIOD_NS = 33_333_333


@given(st.lists(st.integers(0, 40_000_000), min_size=1, max_size=100), st.integers(-(10**18), 10**18))
def test_stamp_is_when_it_was_taken_but_for_the_least_delay_so_far(delays_ns: list[int], offset_ns: int) -> None:
    clock = ClockMap()
    for i, delay_ns in enumerate(delays_ns):
        taken_ns = 10**18 + i * PERIOD_NS
        stamp_ns = clock.system_ns(taken_ns - offset_ns, taken_ns + delay_ns)
        assert stamp_ns == taken_ns + min(delays_ns[: i + 1])


def test_clock_that_starts_anew_is_mapped_anew() -> None:
    clock = ClockMap()
    for i in range(10):
        clock.system_ns(10**12 + i * PERIOD_NS, 10**18 + i * PERIOD_NS)
    assert clock.system_ns(0, 10**18 + 10 * PERIOD_NS) == 10**18 + 10 * PERIOD_NS


def test_camera_sees_while_pictures_come_and_differ() -> None:
    sight, pictures = Sight(0.5, 5, 0.0), np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8)
    for i in range(20):
        sight.saw(pictures[i % 2], i * 0.03)
        assert sight.trouble(i * 0.03) == ""
    assert "stalled: no frame for 0.6 s" in sight.trouble(19 * 0.03 + 0.6)
    for i in range(5):
        assert sight.trouble(1.0) == ""
        sight.saw(pictures[1], 1.0 + i * 0.03)
    assert "frozen: the same picture 6 times" in sight.trouble(1.2)


def test_first_frame_may_take_longer_than_those_after_it() -> None:
    sight = Sight(0.5, 5, 10.0)
    assert sight.trouble(14.9) == "" and "stalled: no frame for 5.1 s" in sight.trouble(15.1)
    sight.saw(np.zeros((48, 64, 3), np.uint8), 14.9)
    assert sight.trouble(15.3) == "" and "stalled" in sight.trouble(15.5)
