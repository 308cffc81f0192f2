"""``armtune calibrate``, in the order in which a person calls it; what is wrong is one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from board_views import Taken
from typer.testing import CliRunner, Result

from armtune_bringup.cli import app
from armtune_calibration.record import find, load
from armtune_calibration.views import read_views


def armtune(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def said(*arguments: object) -> str:
    done = armtune(*arguments)
    assert done.exit_code == 0, f"{done.output}\n{done.exception}"
    return done.output


def refused(*arguments: object) -> str:
    done = armtune(*arguments)
    assert isinstance(done.exception, ValueError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def scene(shift_px: int = 0) -> np.ndarray:
    """The simulated table as its camera sees it, or moved to the right; BGR."""
    from armtune_sim.gated import default_gate
    from armtune_sim.settings import SimParams
    from armtune_sim.world import World

    world = World(Path(default_gate().mjcf), "drawer", SimParams(looks=0.0, variation=0.0))
    seen = world.render("front")[..., ::-1]
    world.close()
    return np.pad(seen[:, : seen.shape[1] - shift_px], ((0, 0), (shift_px, 0), (0, 0)), mode="edge")


def test_board_to_moved_camera(taken: Taken, tmp_path: Path, data: Path) -> None:
    assert "print at 100 %" in said("board", tmp_path / "board.pdf")
    folder = Path(shutil.copytree(taken.folder, tmp_path / "views"))
    solved = json.loads(said("solve", folder, "arm-1", "--data", data).splitlines()[-1])
    assert abs(solved["focal_px"] / taken.focal_px - 1) < 0.003 and solved["position_sd_mm"] < 1.0
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert "front" in said("show", "--data", data) and "quaternion_xyzw" in said("show", "arm-1", "--data", data)

    points = [f"--point={x},{y},0.01" for x in (0.15, 0.4) for y in (-0.2, 0.2)]
    assert "low (0.150, -0.200, 0.010) m" in said("workspace", "arm-1", *points, "--data", data)

    for name, shift_px in (("there.png", 0), ("moved.png", 8)):
        cv2.imwrite(str(tmp_path / name), scene(shift_px))
    said("reference", "arm-1", tmp_path / "there.png", "--data", data)
    kept = load(find("arm-1", data))
    assert kept.workspace is not None and kept.camera("front").place is not None
    assert "where it was" in said("check", "arm-1", tmp_path / "there.png", "--data", data)
    moved = armtune("check", "arm-1", tmp_path / "moved.png", "--data", data)
    assert moved.exit_code == 1 and "it was moved by 8.0 px" in moved.output
    assert [path.suffix for path in sorted((data / "arm-1").iterdir())] == [".yaml"] * 3 + [".png"]


def test_simulated_arm_takes_views_and_goes_on_where_it_was(tmp_path: Path) -> None:
    assert "6 views in" in said("capture", "sim", tmp_path, "--views", 6)
    views = read_views(tmp_path)
    assert len(views) == 6 and all(v.about.base_from_tool is not None for v in views)
    assert "█" in said("capture", "sim", tmp_path, "--views", 7, "--seed", 1)
    assert len(read_views(tmp_path)) == 7


def test_mistakes_are_one_sentence(taken: Taken, tmp_path: Path, data: Path) -> None:
    assert "a4 holds" in refused("board", tmp_path / "b.pdf", "--columns", 12)
    assert "make views by" in refused("solve", tmp_path, "arm-1", "--data", data)
    assert "expected 1 to 64 of a-z" in refused("solve", taken.folder, "Arm 1", "--data", data)
    assert "no calibration of 'arm-1'" in refused("show", "arm-1", "--data", data)
    assert "expected x,y,z in metres" in refused("workspace", "arm-1", "--point", "1,2", "--data", data)
    assert "use another folder" in refused("capture", "sim", taken.folder, "--mount", "tool")
    assert not data.exists()


def test_calibration_of_another_kind_of_robot_is_not_gone_on_with(taken: Taken, tmp_path: Path, data: Path) -> None:
    folder = Path(shutil.copytree(taken.folder, tmp_path / "views"))
    said("solve", folder, "arm-1", "--data", data)
    about = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**about, "robot": "so101"}))
    assert "measured on a wx250s, not a so101; choose another --robot-id" in refused(
        "solve", folder, "arm-1", "--data", data
    )


def test_camera_that_was_solved_again_replaces_its_record(taken: Taken, tmp_path: Path, data: Path) -> None:
    folder = Path(shutil.copytree(taken.folder, tmp_path / "views"))
    said("solve", folder, "arm-1", "--data", data)
    for kept in folder.glob("000.*"):
        kept.unlink()
    said("solve", folder, "arm-1", "--data", data)
    one, two = (load(path).cameras for path in sorted((data / "arm-1").glob("*.yaml")))
    assert len(two) == 1 and one[0].pose is not None and two[0].pose is not None
    assert two[0].pose.position_m != one[0].pose.position_m
