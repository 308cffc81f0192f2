from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image

from armtune_bringup.report import video


def frames(n: int = 10) -> list[np.ndarray]:
    out = [np.full((120, 160, 3), 40, np.uint8) for _ in range(n)]
    for i, frame in enumerate(out):
        frame[30:60, 10 * i : 10 * i + 30] = (220, 60, 30)
    return out


def test_an_mp4_holds_every_frame_in_its_colours() -> None:
    with av.open(io.BytesIO(video.mp4(frames(), rate_hz=5.0))) as container:
        back = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(back) == 10
    assert np.abs(back[3][45, 45].astype(int) - (220, 60, 30)).max() < 40


def test_a_gif_loops_and_keeps_its_shape() -> None:
    image = Image.open(io.BytesIO(video.gif(frames(), rate_hz=5.0, width_px=80)))
    assert (image.size, image.n_frames, image.info["loop"]) == ((80, 60), 10, 0)


def test_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        video.mp4([], rate_hz=5.0)
