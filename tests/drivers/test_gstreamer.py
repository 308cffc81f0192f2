"""A GStreamer pipeline as a camera: a stand-in for its program everywhere, the program itself where it is installed."""

from __future__ import annotations

import shutil
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from armtune_drivers.frames import open_frames
from armtune_drivers.gstreamer import PROGRAM
from armtune_drivers.settings import CameraParams
from armtune_policies.contract import ConfigError

PATTERN = "videotestsrc is-live=true pattern=ball ! video/x-raw,framerate=30/1"
STAND_IN = """#!{python}
import os, sys, time
with open({said!r}, "w") as file:
    file.write("\\n".join(sys.argv[1:]))
for red in (10, 20, 30):
    os.write(1, bytes((red, 0, 0)) * (64 * 48))
{end}
"""


def params(pipeline: str = PATTERN, **more: object) -> CameraParams:
    size = {"width_px": 64, "height_px": 48, **more}
    return CameraParams(source="gstreamer", paths=(pipeline,), stall_s=0.3, **size)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, end: str = "") -> Path:
    """Put a program in GStreamer's place that shows three pictures; return where it notes what it was told."""
    program, said = folder / PROGRAM, folder / "said"
    program.write_text(STAND_IN.format(python=sys.executable, said=str(said), end=end))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return said


def test_raw_pictures_of_a_pipeline_are_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = stand_in(tmp_path, monkeypatch)
    frames = list(open_frames(params("nvarguscamerasrc sensor-id=0 ! nvvidconv"), "front"))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert [frame[5, 7].tolist() for frame in frames] == [[10, 0, 0], [20, 0, 0], [30, 0, 0]]
    told = said.read_text().splitlines()
    assert told[:5] == ["-q", "nvarguscamerasrc", "sensor-id=0", "!", "nvvidconv"]
    assert "video/x-raw,format=RGB,width=64,height=48" in told and told[-3:] == ["fdsink", "fd=1", "sync=false"]


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("time.sleep(60)", r"nvarguscamerasrc: no picture for 0\.3 s"),
        (
            "print('ERROR: from element /a: No cameras available', file=sys.stderr)",
            "nvarguscamerasrc: ERROR: .*No cameras",
        ),
    ],
)
def test_a_pipeline_that_stalls_or_fails_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, says: str
) -> None:
    stand_in(tmp_path, monkeypatch, end)
    frames = open_frames(params("nvarguscamerasrc"), "front")
    assert len(list(islice(frames, 3))) == 3
    with pytest.raises(ConfigError, match=says):
        next(frames)


def test_without_gstreamer_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no gst-launch-1\.0: apt install"):
        open_frames(params(), "front")


def test_a_width_whose_rows_would_be_padded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="expected a multiple of 4 for gstreamer, got 66"):
        open_frames(params(width_px=66), "front")


needs_gstreamer = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason=f"no {PROGRAM}: apt install gstreamer1.0-tools gstreamer1.0-plugins-base"
)


@needs_gstreamer
def test_gstreamers_own_test_pictures_move() -> None:
    frames = open_frames(params(width_px=640, height_px=480), "front")
    seen = list(islice(frames, 10))
    assert all(frame.shape == (480, 640, 3) and frame.max() == 255 for frame in seen)
    assert np.any(seen[0] != seen[-1]), "the ball moves"


@needs_gstreamer
def test_gstreamers_own_error_is_said() -> None:
    with pytest.raises(ConfigError, match=r"noSuchElement.*no element"):
        next(open_frames(params("noSuchElement"), "front"))
