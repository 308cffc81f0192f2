"""The calibration bench's lenses are ones that a camera can have."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._seen_board import _folds


@pytest.mark.parametrize(
    ("k1", "k2", "folds"), ((-0.248, -0.028, True), (-0.248, 0.12, False), (0.05, -0.05, False), (0.0, 0.0, False))
)
def test_lens_that_turns_back_before_the_corner_is_told(k1: float, k2: float, folds: bool) -> None:
    assert _folds(np.array([543.8, 544.6, 319.5, 239.5, k1, k2, 0.0, 0.0])) is folds
