from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from armtune_policies.learn.reward.pixels import Pixels


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(16, 80), width=st.integers(16, 80), size=st.sampled_from((16, 32, 56)), seed=st.integers(0, 99)
)
def test_pictures_are_resized_as_pil_does(height: int, width: int, size: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(90, 166, (height, width, 3), dtype=np.uint8)  # no overshoot is clipped
    ours = Pixels(height, width, size)(torch.from_numpy(image[None]))[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC), np.float32)
    grey_levels = np.abs((ours * 0.5 + 0.5) * 255.0 - theirs)
    assert grey_levels.max() <= 1.5  # PIL rounds to whole levels, twice


def test_mean_and_deviation_are_per_colour() -> None:
    pixels = Pixels(16, 16, 16, (0.0, 0.5, 1.0), (1.0, 0.5, 0.25))
    white = pixels(torch.full((1, 16, 16, 3), 255, dtype=torch.uint8))
    assert white[0].mean(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-5)
