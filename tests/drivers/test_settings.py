from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from armtune_drivers.settings import CameraParams
from armtune_policies.contract import ConfigError

FILES = sorted((Path(__file__).resolve().parents[2] / "configs/camera").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_params_accept_the_file_when_it_is_a_camera_config(file: Path) -> None:
    CameraParams.from_mapping(yaml.safe_load(file.read_text()))


def test_params_refuse_when_a_camera_has_no_path() -> None:
    with pytest.raises(ConfigError, match="expected one per camera"):
        CameraParams(names=("front", "wrist"), source="uvc", paths=("/dev/video0",))


def test_params_refuse_when_names_repeat() -> None:
    with pytest.raises(ConfigError, match="distinct"):
        CameraParams(names=("front", "front"))


def test_path_says_which_cameras_exist_when_the_name_is_unknown() -> None:
    with pytest.raises(ConfigError, match="known: front"):
        CameraParams().path_of("back")
