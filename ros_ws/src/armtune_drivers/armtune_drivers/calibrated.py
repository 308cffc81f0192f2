"""What a calibration says, as a camera's topics have it; and whether this is the camera it was made of. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from armtune_calibration.record import CameraRecord
from armtune_policies.contract import ConfigError

from .settings import CameraParams

PARENTS = {"base": "base_link", "tool": "tool0"}
SYSFS = Path("/sys/class/video4linux")
SERIAL = "serial"
"""Name of the file by which a folder of pictures says which device they are of."""


def check(record: CameraRecord, width_px: int, height_px: int, serial: str) -> None:
    """Refuse a camera that is not the calibrated one.

    Args:
        serial: What the device says; blank where it says none, which is refused if the calibration names one.

    Raises:
        ConfigError: with both values.
    """
    if (record.width_px, record.height_px) != (width_px, height_px):
        raise ConfigError(
            f"camera {record.name!r}: calibrated at {record.width_px}x{record.height_px} pixels, configured for "
            f"{width_px}x{height_px}; set camera.width_px and height_px, or calibrate at this size"
        )
    if record.serial and record.serial != serial:
        raise ConfigError(
            f"camera {record.name!r}: expected serial number {record.serial}, as calibrated, got {serial or 'none'}; "
            "plug in that camera, or calibrate this one"
        )


def serial_of(params: CameraParams, name: str) -> str:
    """Return a camera's serial number: a RealSense is named by it, a V4L2 device and a folder of pictures say it."""
    path = params.path_of(name)
    if params.source == "realsense" or not path:
        return path
    place = Path(path)
    usb = SYSFS / place.resolve().name / "device" / ".." / SERIAL
    for file in (usb, place / SERIAL):
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def info(record: CameraRecord) -> dict[str, Any]:
    """Return the fields of ``CameraInfo``: ``d`` k1 k2 p1 p2 k3, ``k`` (9,), ``r`` (9,) and ``p`` (12,) by rows."""
    lens = record.lens
    k = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])
    p = np.hstack([k, np.zeros((3, 1))])
    seen = {"k": k.ravel(), "r": np.eye(3).ravel(), "p": p.ravel(), "d": list(lens.distortion)}
    return {"distortion_model": "plumb_bob", "height": record.height_px, "width": record.width_px, **seen}
