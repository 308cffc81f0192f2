"""From rendered pixels to a record: the whole way, and what bad input is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from board_views import BOARD, Taken

from armtune_calibration.board import BoardParams
from armtune_calibration.poses import Array, apart, exp, from_quaternion, to_quaternion
from armtune_calibration.record import Calibration, load, save
from armtune_calibration.report import report, summary
from armtune_calibration.solve import Result, look, scale_warning, solve
from armtune_calibration.views import Session, read_session, read_views
from armtune_policies.contract import ConfigError


@pytest.fixture(scope="module")
def result(taken: Taken) -> Result:
    return solve(taken.about, look(read_views(taken.folder), BOARD))


def test_rendered_pictures_give_the_lens_and_the_cameras_place(taken: Taken, result: Result) -> None:
    assert result.hand_eye is not None
    off_m, off_rad = apart(result.hand_eye.x, taken.truth)
    assert off_m < 1e-3 and np.degrees(off_rad) < 0.2
    assert result.hand_eye.distance(taken.truth) < 2 * result.hand_eye.edge
    assert abs(result.lens.values[0] / taken.focal_px - 1) < 0.003
    assert result.scale == pytest.approx(1.0, abs=0.003) and scale_warning(result) == ""


def test_record_keeps_what_was_found_through_a_file(result: Result, tmp_path: Path) -> None:
    path = save(Calibration(robot_id="arm-1", robot="wx250s", made="").with_camera(result.record), tmp_path)
    camera = load(path).camera("front")
    assert camera.pose is not None and camera.serial == "A1"
    kept = from_quaternion(camera.pose.position_m, camera.pose.quaternion_xyzw)
    assert result.hand_eye is not None and max(apart(kept, result.hand_eye.x)) < 1e-9
    assert camera.lens.fx_px == result.lens.values[0]


def test_report_shows_every_view_the_numbers_and_what_was_left_out(taken: Taken, result: Result) -> None:
    seen = dataclasses.replace(result.seen, left_out={"099": "the board is not seen"})
    page = report(dataclasses.replace(result, seen=seen), read_views(taken.folder)).decode()
    assert page.count("data:image/jpeg;base64,") == len(result.with_arm)
    assert page.count("data:image/png;base64,") == 4
    assert str(summary(result)["focal_px"]) in page and "the board is not seen" in page


def test_pictures_without_an_arm_give_a_lens_alone(taken: Taken) -> None:
    views = [
        dataclasses.replace(v, about=dataclasses.replace(v.about, position_m=(), quaternion_xyzw=()))
        for v in read_views(taken.folder)
    ]
    alone = solve(taken.about, look(views, BOARD))
    assert alone.hand_eye is None and alone.record.pose is None
    assert abs(alone.lens.values[0] / taken.focal_px - 1) < 0.01


@pytest.fixture
def spoilt(taken: Taken, tmp_path: Path) -> Callable[[Callable[[dict], dict]], Path]:
    """Return a copy of the views, each of whose facts was changed."""

    def spoil(change: Callable[[dict], dict]) -> Path:
        folder = tmp_path / "spoilt"
        shutil.copytree(taken.folder, folder)
        for file in folder.glob("[0-9]*.json"):
            file.write_text(json.dumps(change(json.loads(file.read_text()))))
        return folder

    return spoil


Spoil = Callable[[Callable[[dict], dict]], Path]


def refusal(folder: Path, board: BoardParams = BOARD) -> str:
    with pytest.raises(ValueError) as why:
        solve(read_session(folder), look(read_views(folder), board))
    assert "\n" not in str(why.value)
    return str(why.value)


def test_pictures_stamped_by_another_clock_are_refused(spoilt: Spoil) -> None:
    folder = spoilt(lambda view: {**view, "joints_stamp_ns": view["image_stamp_ns"] + 300_000_000})
    assert "picture and arm pose are 0.300 s apart, at most 0.05 s is allowed" in refusal(folder)


def test_pictures_of_a_moving_arm_are_refused(spoilt: Spoil) -> None:
    assert "the arm moved at 0.50 rad/s" in refusal(spoilt(lambda view: {**view, "speed_rad_s": 0.5}))


def test_motion_about_one_axis_is_refused(spoilt: Spoil) -> None:
    angles = iter(np.linspace(-0.5, 0.5, 30))

    def turned(view: dict) -> dict:
        pose: Array = exp([0.2, 0.0, 0.2, next(angles), 0.0, 0.0])
        position, quaternion = to_quaternion(pose)
        return {**view, "position_m": position.tolist(), "quaternion_xyzw": quaternion.tolist()}

    assert "turns about two axes" in refusal(spoilt(turned))


def test_another_board_than_said_is_refused(taken: Taken) -> None:
    assert "got another" in refusal(taken.folder, BoardParams(columns=5, rows=7))


def test_too_few_views_are_refused_and_the_reason_is_said(spoilt: Spoil) -> None:
    count = iter(range(100))
    folder = spoilt(lambda view: {**view, "speed_rad_s": 0.5 * (next(count) > 2)})
    said = refusal(folder)
    assert "expected at least 5 views that show the board, got 3" in said and "because the arm moved" in said


def test_folder_without_views_is_refused(taken: Taken, tmp_path: Path) -> None:
    shutil.copy(taken.folder / "session.json", tmp_path / "session.json")
    assert "no usable view among 0: the folder is empty" in refusal(tmp_path)
    with pytest.raises(ConfigError, match=r"no session\.json in it; make views by `armtune calibrate capture`"):
        read_session(tmp_path / "nowhere")


def test_damaged_view_is_named(spoilt: Spoil) -> None:
    folder = spoilt(lambda view: view)
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:500])
    assert "002.png: not a picture, or truncated" in refusal(folder)
    (folder / "001.json").write_text('{"image_stamp_ns": -1}')
    with pytest.raises(ConfigError, match="image_stamp_ns: expected a number in"):
        read_views(folder)


def test_folder_of_other_views_is_not_gone_on_with(taken: Taken) -> None:
    with pytest.raises(ConfigError, match="use another folder"):
        Session(taken.folder, dataclasses.replace(taken.about, mount="tool"))
