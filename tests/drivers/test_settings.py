from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from armtune_drivers.settings import ArmParams, CameraParams
from armtune_policies.contract import ConfigError

pytestmark = pytest.mark.unhurried

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


@pytest.mark.parametrize("arm", ["wxai", "fr3"])
@pytest.mark.parametrize(("name", "value"), [("watchdog_s", 0.05), ("lost_share", 0.1)])
def test_bound_that_an_arm_cannot_keep_is_refused(arm: str, name: str, value: float) -> None:
    shipped = yaml.safe_load((FILES[0].parents[1] / f"arm/{arm}.yaml").read_text())
    adapter = ArmParams.from_mapping(shipped).adapter
    with pytest.raises(ConfigError, match=f"{name}: expected .*, got {value:g}; {adapter}: .*, leave it out"):
        ArmParams.from_mapping({**shipped, name: value})
