from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.runtime.images import prepare


def test_a_pixel_is_the_mean_of_the_area_it_covers_when_shrunk() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    small = prepare(frame, 96, 128)
    assert small.shape == (96, 128, 3) and small.dtype == np.uint8 and small.flags.c_contiguous
    blocks = frame.reshape(96, 5, 128, 5, 3).mean(axis=(1, 3))
    assert np.max(np.abs(blocks - small)) <= 0.51


def test_proportions_are_squashed_when_they_differ() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, 320:] = 200
    small = prepare(frame, 96, 96)
    assert small[:, :47].max() == 0 and small[:, 49:].min() == 200


def test_the_copy_is_the_callers_own_when_the_size_already_fits() -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    small = prepare(frame, 16, 16)
    small[:] = 1
    assert frame.max() == 0


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_a_frame_is_refused_when_it_is_no_rgb_image(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        prepare(frame, 16, 16)
