"""Where each colour is, as a fitted encoder tells it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.learn.blobs import BlobEncoder, balanced, fit_blobs

RED, GREEN = (220, 30, 30), (30, 220, 30)


def scene(red_px: tuple[int, int], green_px: tuple[int, int] = (24, 24), gain: float = 1.0) -> np.ndarray:
    image = np.full((32, 32, 3), 90, np.uint8)
    for (row, column), colour in ((red_px, RED), (green_px, GREEN)):
        image[row - 2 : row + 3, column - 2 : column + 3] = colour
    return (image * gain).astype(np.uint8)


def scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.random.default_rng(seed).integers(2, 30, (count, 2, 2))
    return np.stack([scene(tuple(red), tuple(green)) for red, green in at]), at[:, 0]


def apart(frames: np.ndarray) -> np.ndarray:
    """Each frame of an episode of its own."""
    return np.arange(len(frames))


def error_px(seen: np.ndarray, where: np.ndarray, other: np.ndarray, there: np.ndarray) -> float:
    """Of a linear readout fitted to the first two, on the others; the 90th percentile."""
    with_one = np.c_[seen, np.ones(len(seen))]
    weights = np.linalg.lstsq(with_one, where, rcond=None)[0]
    return float(np.percentile(np.linalg.norm(np.c_[other, np.ones(len(other))] @ weights - there, axis=1), 90))


def test_places_of_unseen_scenes_are_read_linearly_whatever_the_light() -> None:
    frames, where = scenes(120, seed=0)
    encoder = BlobEncoder([fit_blobs(frames, apart(frames), colours=4, pixels=60, seed=0)])
    unseen, there = scenes(60, seed=1)
    seen, other, dim = (encoder(torch.from_numpy(i)).numpy() for i in (frames, unseen, (unseen * 0.6).astype(np.uint8)))
    assert encoder.feature_size == seen.shape[1] == 12
    assert error_px(seen, where, other, there) < 2.0
    assert error_px(seen, where, dim, there) < 3.0


def test_a_thing_that_stands_still_beside_the_table_is_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    frames, where = scenes(120, seed=0)
    frames[:, :, :6] = 90  # beside the table
    for of in range(0, 120, 4):
        row = int(rng.integers(2, 30))
        frames[of : of + 4, row - 2 : row + 3, 1:5] = RED
    there = (where[:, 1] > 8) & (where[:, 0] > 0)
    plain, steady = (fit_blobs(frames, of, 4, 60, seed=0) for of in (np.arange(120), np.arange(120) // 4))
    assert steady.weight[:, 1:4].max() < 0.25 < 0.5 < steady.weight[8:24, 12:24].min()
    seen, plainly = steady(torch.from_numpy(frames[there])).numpy(), plain(torch.from_numpy(frames[there])).numpy()
    half = there.sum() // 2
    error = [error_px(s[:half], where[there][:half], s[half:], where[there][half:]) for s in (seen, plainly)]
    assert error[0] < 0.7 * error[1]


def test_the_lit_and_the_shaded_side_of_a_thing_are_one_colour() -> None:
    frames, where = scenes(120, seed=0)
    for frame, (row, column) in zip(frames, where):
        frame[row : row + 3, column - 2 : column + 3] //= 3
    blobs = fit_blobs(frames, apart(frames), colours=3, pixels=60, seed=0)
    size = np.exp(blobs(torch.from_numpy(frames)).numpy()[:, 6:])
    assert (np.abs(np.median(size, axis=0) - 25.5) < 3.0).sum() == 2  # of five by five pixels each: the red, the green


def test_only_the_colours_that_are_asked_for_are_told() -> None:
    frames, _ = scenes(20, seed=0)
    blobs, images = fit_blobs(frames, apart(frames), colours=4, pixels=60, seed=0), torch.from_numpy(frames)
    encoder = BlobEncoder([blobs.only([2]), blobs])
    seen = encoder(images, images)
    assert encoder.feature_size == seen.shape[1] == 3 + 12
    assert torch.equal(seen[:, :3], seen[:, 3:][:, [2, 6, 10]])


def test_the_same_seed_gives_the_same_colours() -> None:
    frames, _ = scenes(20, seed=0)
    one, two, other = (fit_blobs(frames, apart(frames), colours=4, pixels=60, seed=s).centres for s in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)


@given(st.integers(0, 255), st.integers(1, 6))
@settings(max_examples=10, deadline=None)
def test_one_colour_everywhere_is_told_without_nan(level: int, colours: int) -> None:
    flat = np.full((3, 8, 8, 3), level, np.uint8)
    found = fit_blobs(flat, apart(flat), colours, pixels=10, seed=0)(torch.from_numpy(flat))
    assert found.shape == (3, 3 * colours) and torch.isfinite(found).all()


def test_a_gain_per_colour_is_taken_out() -> None:
    image = torch.from_numpy(scenes(1, seed=3)[0] // 2)
    tinted = (image.float() * torch.tensor([2.0, 1.0, 1.5])).to(torch.uint8)
    assert torch.max(torch.abs(balanced(image) - balanced(tinted)) / (balanced(image) + 1)) < 0.1
