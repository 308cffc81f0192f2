"""Dated files that name themselves: whole, unedited, of this robot, or refused in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armtune_calibration.record import (
    Calibration,
    CameraRecord,
    GripperRecord,
    LensRecord,
    PlaceRecord,
    PoseRecord,
    WorkspaceRecord,
    data_root,
    find,
    load,
    newest,
    picture_of,
    save,
)  # fmt: skip
from armtune_policies.contract import ConfigError

LENS = LensRecord(
    fx_px=600.123456789, fy_px=601.0, cx_px=319.5, cy_px=239.5, distortion=(-0.1, 0.05, 1e-4, -2e-5, 0.0),
    sd=(0.1,) * 8, rms_px=0.2, views=15,
)  # fmt: skip
POSE = PoseRecord(
    parent="base", position_m=(0.7, -0.1, 0.5), quaternion_xyzw=(1.0, 0.0, 0.0, 0.0), covariance=(1e-9,) * 36, views=15
)
CAMERA = CameraRecord(name="front", serial="A1", width_px=640, height_px=480, lens=LENS, pose=POSE)
ONE = Calibration(
    robot_id="arm-1", robot="wx250s", made="", cameras=(CAMERA,),
    workspace=WorkspaceRecord(low_m=(0.1, -0.2, 0.0), high_m=(0.4, 0.2, 0.3), tilt_rad=0.01),
    gripper=GripperRecord(closed_m=0.015, open_m=0.037),
)  # fmt: skip


def test_file_says_what_was_saved(tmp_path: Path) -> None:
    path = save(ONE, tmp_path)
    again = load(path)
    assert dataclasses.replace(again, made="") == ONE and again.hash == load(path).hash
    assert path.parent.name == "arm-1" and [p.name for p in path.parent.iterdir()] == [path.name]


def test_newest_file_counts_and_none_is_written_over(tmp_path: Path) -> None:
    paths = [save(ONE, tmp_path) for _ in range(11)]
    assert len(set(paths)) == 11 and newest("arm-1", tmp_path) == paths[-1]
    assert paths[-1].name.endswith("-11.yaml") and find("arm-1", tmp_path) == paths[-1].resolve()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_edited_or_damaged_file_never_says_something_else(tmp_path: Path, data: st.DataObject) -> None:
    path = save(ONE, tmp_path)
    good, before = path.read_bytes(), load(path)
    at = data.draw(st.integers(0, len(good) - 1))
    path.write_bytes(good[:at] + bytes([data.draw(st.integers(32, 126))]) + good[at + 1 :])
    try:
        assert load(path) == before  # in a comment, or the same number in other words
    except ConfigError as why:
        assert "\n" not in str(why) and str(path) in str(why)


@pytest.mark.parametrize(
    ("change", "says"),
    (
        (lambda t: t.replace("600.123456789", "650.0"), "edited or damaged: checksum"),
        (lambda t: t[: len(t) // 2], "edited or damaged|expected YAML"),
        (lambda t: t.replace("checksum", "chequesum"), "expected a calibration with its checksum"),
        (lambda t: t.replace("600.123456789", ".nan"), "expected finite numbers"),
        (lambda t: "- 1\n", "expected a calibration with its checksum"),
        (lambda t: "a: [", "expected YAML"),
    ),
    ids=("edited", "cut", "no checksum", "nan", "a list", "no yaml"),
)
def test_file_that_is_not_as_it_was_is_refused(tmp_path: Path, change, says: str) -> None:
    path = save(ONE, tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigError, match=says):
        load(path)


def rewritten(path: Path, **changes: object) -> Path:
    """Edit a file and forge its checksum: what it says is still checked."""
    from armtune_policies.contract import digest

    content = {k: v for k, v in yaml.safe_load(path.read_text()).items() if k != "checksum"} | changes
    path.write_text(yaml.safe_dump({"checksum": digest(content), **content}))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    (
        ({"version": 2}, "expected version 1, got 2"),
        ({"colour": "red"}, "unknown key 'colour'"),
        (
            {"workspace": {"low_m": [1, 0, 0], "high_m": [0, 1, 1], "tilt_rad": 0.0}},
            "low_m: expected each below high_m",
        ),
        ({"robot_id": "../x"}, "robot_id"),
    ),
)
def test_file_of_a_right_checksum_and_wrong_content_is_refused(tmp_path: Path, changes: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(rewritten(save(ONE, tmp_path), **changes))


def test_missing_ones_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no calibration of 'arm-9'"):
        find("arm-9", tmp_path)
    with pytest.raises(ConfigError, match="no such calibration"):
        load(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="no camera 'wrist'; calibrated: front"):
        ONE.camera("wrist")


def test_reference_picture_is_the_one_that_was_kept(tmp_path: Path) -> None:
    data = b"a picture"
    place = PlaceRecord(kind="scene", picture="front-1.png", sha256=hashlib.sha256(data).hexdigest())
    path = save(ONE.with_camera(dataclasses.replace(CAMERA, place=place)), tmp_path, {"front-1.png": data})
    assert picture_of(path, place).read_bytes() == data
    (path.parent / "front-1.png").write_bytes(b"another")
    with pytest.raises(ConfigError, match="edited or damaged"):
        picture_of(path, place)
    for name in ("../front-1.png", "/etc/passwd", "front-2.png"):
        with pytest.raises(ValueError):
            picture_of(path, dataclasses.replace(place, picture=name))


def test_data_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARMTUNE_CALIBRATIONS", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("ARMTUNE_CALIBRATIONS")
    assert data_root().parts[-2:] == ("calibration", "data")
