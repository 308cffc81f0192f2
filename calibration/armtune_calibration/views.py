"""A folder of views: pictures of the board, each with where the arm was. Captured one by one, each whole or absent."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import Checked, ConfigError, choice, num, text
from armtune_policies.store.files import read_json, write_json, write_whole
from armtune_policies.store.pictures import read_picture

from .board import BoardParams
from .poses import Array, from_quaternion, to_quaternion

SESSION = "session.json"


@dataclass(frozen=True, kw_only=True)
class SessionParams(Checked):
    """What a folder of views is of."""

    camera: str = text(doc="name of the camera")
    serial: str = text("", doc="of the device; blank where it says none")
    robot: str = text(doc="kind of arm, as in `robot=wx250s`")
    mount: str = choice("base", of=("base", "tool"), doc="base: camera beside the arm, board in the hand; tool: on it")
    board: BoardParams


@dataclass(frozen=True, kw_only=True)
class ViewParams(Checked):
    """One picture: when it was taken, and where the arm was."""

    image_stamp_ns: int = num(low=0, high=2**63 - 1, doc="of the picture")
    joints_stamp_ns: int = num(0, low=0, high=2**63 - 1, doc="of the joint state it goes with")
    speed_rad_s: float = num(0.0, low=0.0, high=100.0, doc="of the fastest joint then")
    position_m: tuple[float, ...] = num((), low=-10.0, high=10.0, doc="of the tool in the base frame; none: unknown")
    quaternion_xyzw: tuple[float, ...] = num((), low=-1.0, high=1.0, doc="of the same")

    @property
    def base_from_tool(self) -> Array | None:
        return from_quaternion(self.position_m, self.quaternion_xyzw) if self.position_m else None


@dataclass(frozen=True)
class View:
    """A view of a folder, its picture still on the disk."""

    name: str
    path: Path
    about: ViewParams

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture, uint8 rgb (H, W, 3).

        Raises:
            ConfigError: when it cannot be read.
        """
        try:
            return read_picture(self.path)
        except (ValueError, OSError) as why:
            raise ConfigError(f"{self.path}: not a picture, or truncated ({why}); delete it and its .json") from None


class Session:
    """A folder of views; made when new, gone on with when it is of the same board, camera and mount.

    Raises:
        ConfigError: when the folder is of something else.
    """

    def __init__(self, folder: Path, about: SessionParams) -> None:
        self.folder, self.about = folder, about
        if (folder / SESSION).exists():
            if (before := read_session(folder)) != about:
                raise ConfigError(f"{folder}: holds views of {before}; use another folder for {about}")
        else:
            write_json(folder / SESSION, asdict(about))

    def add(
        self, picture: NDArray[np.uint8], image_stamp_ns: int, joints_stamp_ns: int = 0, speed_rad_s: float = 0.0,
        base_from_tool: Array | None = None,
    ) -> str:  # fmt: skip
        """Keep one view; return its name. ``picture`` is uint8 rgb (H, W, 3)."""
        place: dict[str, Any] = {}
        if base_from_tool is not None:
            position, quaternion = to_quaternion(base_from_tool)
            place = {"position_m": tuple(position.tolist()), "quaternion_xyzw": tuple(quaternion.tolist())}
        about = ViewParams(
            image_stamp_ns=image_stamp_ns, joints_stamp_ns=joints_stamp_ns, speed_rad_s=speed_rad_s, **place
        )
        taken = [int(path.stem) for path in self.folder.glob("[0-9]*.json")]
        name = f"{max(taken, default=-1) + 1:03d}"
        write_whole(self.folder / f"{name}.png", png(picture))
        write_json(self.folder / f"{name}.json", asdict(about))
        return name


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture, uint8 rgb (H, W, 3), as a PNG file."""
    good, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not good:
        raise ConfigError(f"a picture of shape {picture.shape} could not be encoded")
    return encoded.tobytes()


def read_session(folder: Path) -> SessionParams:
    """Return what a folder of views is of.

    Raises:
        ConfigError: when it is no such folder.
    """
    try:
        return SessionParams.from_mapping(_mapping(folder / SESSION))
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no {SESSION} in it; make views by `armtune calibrate capture`") from None


def read_views(folder: Path) -> list[View]:
    """Return the views of a folder, in order.

    Raises:
        ConfigError: for a view that is damaged, naming it.
    """
    return [
        View(path.stem, path.with_suffix(".png"), ViewParams.from_mapping(_mapping(path)))
        for path in sorted(folder.glob("[0-9]*.json"))
    ]


def _mapping(path: Path) -> dict[str, Any]:
    said = read_json(path)
    if not isinstance(said, dict):
        raise ConfigError(f"{path}: expected an object, got {json.dumps(said)[:40]}")
    return said
