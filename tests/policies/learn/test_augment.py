from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.learn.augment import random_light, random_shift


@given(st.integers(0, 6), st.integers(0, 2**31))
def test_every_image_is_a_window_of_itself_with_its_edges_repeated(pad_px: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, 9, 11, 3), dtype=np.uint8)
    shifted = random_shift(images, pad_px, np.random.default_rng(seed))
    assert shifted.shape == images.shape and shifted.dtype == np.uint8
    for before, after in zip(images, shifted):
        wide = np.pad(before, ((pad_px, pad_px), (pad_px, pad_px), (0, 0)), mode="edge")
        spots = [(y, x) for y in range(2 * pad_px + 1) for x in range(2 * pad_px + 1)]
        assert any(np.array_equal(after, wide[y : y + 9, x : x + 11]) for y, x in spots)


def test_shifts_differ_between_the_images_of_a_batch() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    shifted = random_shift(np.repeat(image, 32, axis=0), 4, np.random.default_rng(1))
    assert len({part.tobytes() for part in shifted}) > 16


def test_light_changes_by_at_most_its_strength_and_leaves_the_input() -> None:
    images = np.full((50, 4, 4, 3), 100, np.uint8)
    lit = random_light(images, 0.2, np.random.default_rng(0))
    assert 70 <= lit.min() < 95 and 105 < lit.max() <= 130
    assert (images == 100).all() and len(np.unique(lit[0].reshape(-1, 3), axis=0)) == 1
    np.testing.assert_array_equal(random_light(images, 0.0, np.random.default_rng(0)), images)
