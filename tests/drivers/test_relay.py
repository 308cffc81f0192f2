"""Another driver's pictures as ours, whatever order its colours are in."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_drivers.relay import BYTES, CHANNELS, Relay, info_of, pinhole_of, rgb_of
from armtune_drivers.settings import CameraParams
from armtune_policies.contract import ConfigError

TOPIC = "/camera/color/image_raw"


def relay(**more: object) -> Relay:
    size = {"width_px": 64, "height_px": 48, "stall_s": 0.2, "frozen_frames": 3, **more}
    return Relay(CameraParams(source="topic", paths=(TOPIC,), **size), TOPIC, time.monotonic())


def picture(red: int, width_px: int = 64) -> np.ndarray:
    return np.full((48, width_px, 3), (red, 1, 2), np.uint8)


@given(st.sampled_from(sorted(BYTES)), st.integers(1, 5), st.integers(1, 5), st.integers(0, 3))
def test_colours_come_out_as_they_went_in_whatever_the_encoding_and_the_padding(
    encoding: str, height: int, width: int, padding: int
) -> None:
    want = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    rows = np.zeros((height, width, BYTES[encoding]), np.uint8)
    rows[..., list(CHANNELS[encoding])] = want
    data = np.pad(rows.reshape(height, -1), ((0, 0), (0, padding)))
    got = rgb_of(encoding, height, width, data.shape[1], data.tobytes())
    assert np.array_equal(got, want)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (("mono16", 2, 2, 4, bytes(8)), "expected one of rgb8, bgr8, rgba8, bgra8, got 'mono16'"),
        (("rgb8", 2, 2, 5, bytes(10)), "expected 2 rows of at least 6 bytes"),
        (("rgb8", 2, 2, 6, bytes(11)), "expected 2 rows of at least 6 bytes, got 11"),
    ],
)
def test_what_is_no_colour_picture_is_refused(told: tuple[str, int, int, int, bytes], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rgb_of(*told)


def test_shots_keep_their_stamps_and_the_lens_and_the_oldest_waiting_one_goes() -> None:
    one = relay()
    one.pinhole = pinhole_of([600.0, 0, 320, 0, 610.0, 240, 0, 0, 1], [0.1], "plumb_bob")
    for red in (10, 20, 30):
        one.put(picture(red), red)
    shots = [next(one), next(one)]
    assert [(shot.rgb[0, 0, 0], shot.stamp_ns) for shot in shots if shot] == [(20, 20), (30, 30)]
    assert shots[0] and shots[0].pinhole and shots[0].pinhole.focal_px == (600.0, 610.0)
    assert shots[0].pinhole.centre_px == (320, 240) and shots[0].pinhole.distortion == (0.1, 0.0, 0.0, 0.0, 0.0)


def test_one_that_stalls_or_repeats_itself_is_said_and_goes_on_when_it_sees_again() -> None:
    one = relay()
    one.put(picture(1), 1)
    assert next(one) is not None and one.trouble == ""
    while not one.trouble:
        assert next(one) is None
    assert one.trouble.startswith(f"{TOPIC}: stalled: no frame for 0.")
    one.put(picture(2), 2)
    assert next(one) is not None and one.trouble == ""
    said = []
    for number in range(4):
        one.put(picture(2), 3 + number)
        said.append(next(one) is None)
    assert said == [False, False, True, True] and "frozen" in one.trouble


def test_another_size_is_refused_in_one_sentence() -> None:
    one = relay()
    one.put(picture(1, width_px=80), 1)
    with pytest.raises(ConfigError, match=f"{TOPIC}: expected 64x48 pixels, got 80x48"):
        next(one)


def test_a_lens_that_is_not_known_is_none() -> None:
    assert pinhole_of([0.0] * 9, [], "plumb_bob") is None
    assert pinhole_of([600.0, 0, 320, 0, 600, 240, 0, 0, 1], [0.0] * 4, "equidistant") is None
    assert info_of(TOPIC) == "/camera/color/camera_info"
