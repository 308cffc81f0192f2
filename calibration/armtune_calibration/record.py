"""What was measured on one robot, as dated files that name themselves by a checksum.

``data/<robot_id>/<date>-<n>.yaml``; a file is never written over, the newest one counts. The checksum is of what the
file says, not of how it is laid out, and goes into every episode as its calibration's hash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from armtune_policies.contract import Checked, ConfigError, choice, digest, file_digest, num, text
from armtune_policies.contract.paths import config_root
from armtune_policies.store.files import checked_name, read_yaml, write_whole

VERSION = 1
DATED = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d+)\.yaml")
FAR, PNG = 100.0, ".png"


@dataclass(frozen=True, kw_only=True)
class LensRecord(Checked):
    """A pinhole with Brown's distortion (plumb_bob); the first pixel's centre is (0, 0)."""

    fx_px: float = num(low=1.0, high=1e5, doc="focal length along x [px]")
    fy_px: float = num(low=1.0, high=1e5, doc="focal length along y [px]")
    cx_px: float = num(low=-1e4, high=1e5, doc="principal point, x [px]")
    cy_px: float = num(low=-1e4, high=1e5, doc="principal point, y [px]")
    distortion: tuple[float, ...] = num(low=-FAR, high=FAR, doc="k1 k2 p1 p2 k3")
    sd: tuple[float, ...] = num(low=0.0, high=1e5, doc="standard deviations of fx fy cx cy [px], k1 k2 p1 p2")
    rms_px: float = num(low=0.0, high=1e3, doc="of a corner's distance from where the lens says it is [px]")
    views: int = num(low=1, high=100_000, doc="pictures it was made of")


@dataclass(frozen=True, kw_only=True)
class PoseRecord(Checked):
    """``parent_from_camera`` of the optical frame, and how sure it is."""

    parent: str = choice(of=("base", "tool"), doc="base: beside the arm; tool: on it")
    position_m: tuple[float, float, float] = num(low=-FAR, high=FAR, doc="in the parent's frame [m]")
    quaternion_xyzw: tuple[float, float, float, float] = num(low=-1.0, high=1.0, doc="a unit quaternion")
    covariance: tuple[float, ...] = num(low=-1e3, high=1e3, doc="of [m m m rad rad rad], camera's frame, 36 by rows")
    views: int = num(low=1, high=100_000, doc="poses of the arm it was made of")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.covariance) != 36:
            raise ConfigError(f"covariance: expected 36 numbers, got {len(self.covariance)}")
        if not abs(sum(q * q for q in self.quaternion_xyzw) - 1.0) < 1e-3:
            raise ConfigError(f"quaternion_xyzw: expected norm 1, got {self.quaternion_xyzw}")


@dataclass(frozen=True, kw_only=True)
class OffsetRecord(Checked):
    """By how much a picture's stamp lags behind the joints'."""

    offset_s: float = num(low=-2.0, high=2.0, doc="subtract it from the picture's stamp [s]")
    sd_s: float = num(low=0.0, high=2.0, doc="its standard deviation [s]")


@dataclass(frozen=True, kw_only=True)
class PlaceRecord(Checked):
    """A picture of the empty scene, by which a camera that was moved is told."""

    kind: str = choice(of=("scene", "marker"), doc="scene: features that stand still; marker: ArUco markers")
    picture: str = text(doc="file beside this one, as the camera gives it")
    sha256: str = text(doc="of that file")


@dataclass(frozen=True, kw_only=True)
class CameraRecord(Checked):
    """One camera of the robot."""

    name: str = text(doc="as in topics and configs")
    serial: str = text("", doc="of the device; blank where it says none")
    width_px: int = num(low=16, high=16384, doc="of the pictures it was calibrated with")
    height_px: int = num(low=16, high=16384, doc="of the same")
    lens: LensRecord = text(doc="how it sees")
    pose: PoseRecord | None = text(None, doc="where it is; none: not measured")
    offset: OffsetRecord | None = text(None, doc="how late its stamps are; none: not measured")
    place: PlaceRecord | None = text(None, doc="how to tell that it was moved; none: that is not looked for")


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord(Checked):
    """A box in the base frame in which the tool may be."""

    low_m: tuple[float, float, float] = num(low=-FAR, high=FAR, doc="lowest x y z [m]")
    high_m: tuple[float, float, float] = num(low=-FAR, high=FAR, doc="highest x y z [m]")
    tilt_rad: float = num(low=0.0, high=1.6, doc="of the table under it [rad]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(low < high for low, high in zip(self.low_m, self.high_m)):
            raise ConfigError(f"low_m: expected each below high_m {self.high_m}, got {self.low_m}")


@dataclass(frozen=True, kw_only=True)
class GripperRecord(Checked):
    """Finger positions at both ends."""

    closed_m: float = num(low=-0.2, high=0.2, doc="at opening 0 [m]")
    open_m: float = num(low=-0.2, high=0.2, doc="at opening 1 [m]")


@dataclass(frozen=True, kw_only=True)
class Calibration(Checked):
    """Everything measured on one physical robot."""

    version: int = num(VERSION, low=1, high=VERSION, doc="of this layout")
    robot_id: str = text(doc="which arm: a name of your own, one a physical robot")
    robot: str = text(doc="which kind, as in `robot=wx250s`")
    made: str = text(doc="when, UTC")
    cameras: tuple[CameraRecord, ...] = text((), doc="its cameras")
    workspace: WorkspaceRecord | None = text(None, doc="where the tool may be; none: as configured")
    gripper: GripperRecord | None = text(None, doc="its fingers; none: as configured")

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_name(self.robot_id, "robot_id")
        names = [camera.name for camera in self.cameras]
        if len(set(names)) != len(names):
            raise ConfigError(f"cameras: expected distinct names, got {names}")

    @property
    def hash(self) -> str:
        """16 hex digits that name what was measured."""
        return digest(plain(self))

    def camera(self, name: str) -> CameraRecord:
        """Return one camera.

        Raises:
            ConfigError: when it was not calibrated, naming those that were.
        """
        found = next((camera for camera in self.cameras if camera.name == name), None)
        if found is None:
            known = ", ".join(camera.name for camera in self.cameras) or "none"
            raise ConfigError(
                f"calibration of {self.robot_id}: no camera {name!r}; calibrated: {known}; "
                "run `armtune calibrate solve` for it"
            )
        return found

    def with_camera(self, camera: CameraRecord) -> Calibration:
        """Return this with one camera added, or put in place of the one of its name."""
        others = tuple(other for other in self.cameras if other.name != camera.name)
        return replace(self, cameras=(*others, camera))


def plain(calibration: Calibration) -> dict[str, Any]:
    """Return what the file says, without its checksum; what was not measured is left out."""
    return _listed(asdict(calibration))


def data_root() -> Path:
    """Return the folder of all robots' calibrations: ``ARMTUNE_CALIBRATIONS``, else the checkout's."""
    named = os.environ.get("ARMTUNE_CALIBRATIONS")
    return Path(named) if named else config_root().resolve().parent / "calibration" / "data"


def newest(robot_id: str, root: Path | None = None) -> Path | None:
    """Return the newest file of a robot, or None."""
    folder = (root or data_root()) / checked_name(robot_id, "robot_id")
    dated = [(m[1], int(m[2]), path) for path in folder.glob("*.yaml") if (m := DATED.fullmatch(path.name))]
    return max(dated)[2] if dated else None


def find(named: str, root: Path | None = None) -> Path:
    """Return the file of a robot's id, or the file itself where a path is given.

    Raises:
        ConfigError: when there is none.
    """
    if named.endswith(".yaml"):
        return Path(named).resolve()
    if (path := newest(named, root)) is None:
        raise ConfigError(
            f"no calibration of {named!r} in {root or data_root()}; make one (docs/calibration.md), or name a file"
        )
    return path.resolve()


def load(path: Path) -> Calibration:
    """Return what a file says.

    Raises:
        ConfigError: in one sentence: it is not there, not YAML, edited or damaged, or holds what it should not.
    """
    try:
        said = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such calibration; `armtune calibrate show` lists those there are") from None
    except ValueError as why:
        raise ConfigError(f"{why}; restore the file") from None
    if not isinstance(said, dict) or not isinstance(said.get("checksum"), str):
        raise ConfigError(f"{path}: expected a calibration with its checksum, got none; restore the file")
    content = {key: value for key, value in said.items() if key != "checksum"}
    try:
        found = digest(content)
    except (ValueError, TypeError) as why:
        raise ConfigError(f"{path}: expected finite numbers and text, {why}; restore the file") from None
    if found != said["checksum"]:
        raise ConfigError(
            f"{path}: edited or damaged: checksum {said['checksum']}, but what it says has {found}; restore the file, "
            "or calibrate again: measured numbers are not edited"
        )
    if content.get("version") != VERSION:
        raise ConfigError(f"{path}: expected version {VERSION}, got {content.get('version')!r}; calibrate again")
    try:
        return Calibration.from_mapping(content)
    except ValueError as why:
        raise ConfigError(f"{path}: {why}") from None


def save(calibration: Calibration, root: Path | None = None, pictures: Mapping[str, bytes] | None = None) -> Path:
    """Write a new dated file, and ``pictures`` by file name before it; return its path.

    Raises:
        OSError: in one sentence; there is no file then.
    """
    now = datetime.now(timezone.utc)
    folder = (root or data_root()) / calibration.robot_id
    for name, data in (pictures or {}).items():
        write_whole(folder / name, data)
    calibration = replace(calibration, made=f"{now:%Y-%m-%dT%H:%M:%SZ}")
    number = 1
    while (path := folder / f"{now:%Y-%m-%d}-{number}.yaml").exists():
        number += 1
    content = plain(calibration)
    said = yaml.safe_dump({"checksum": digest(content), **content}, sort_keys=False, allow_unicode=True)
    write_whole(
        path,
        f"# Measured on {calibration.robot_id}. Not to be edited: the checksum would no longer fit.\n{said}".encode(),
    )
    return path


def picture_of(path: Path, place: PlaceRecord) -> Path:
    """Return the picture of a place, beside the calibration at ``path``.

    Raises:
        ConfigError: when it is not there, or another than it was.
    """
    picture = path.parent / f"{checked_name(place.picture.removesuffix(PNG), 'picture')}{PNG}"
    if not picture.is_file():
        raise ConfigError(f"{picture}: no such reference picture; run `armtune calibrate reference` again")
    if file_digest(picture) != place.sha256:
        raise ConfigError(f"{picture}: edited or damaged; restore it, or run `armtune calibrate reference` again")
    return picture


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items() if inner is not None}
    return [_listed(inner) for inner in value] if isinstance(value, (tuple, list)) else value
