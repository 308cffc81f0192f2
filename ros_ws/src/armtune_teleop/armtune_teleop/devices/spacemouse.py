"""A SpaceMouse read over USB by ``pyspacemouse`` (MIT), in the robot's convention: x forward, y left, z up."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from armtune_teleop.table import MOTIONS, Reading

from .base import Gone

MISSING = (
    "SpaceMice are read by pyspacemouse, which cannot be loaded here ({why}): pip install pyspacemouse, and on Debian "
    "or Ubuntu apt-get install libhidapi-hidraw0"
)
_EVENTS = 16
"""Reports read a poll: a SpaceMouse sends some 120 a second."""


class SpaceMouse:
    """The first SpaceMouse plugged in: ``x y z roll pitch yaw`` -1..1, ``button0`` on.

    Raises:
        Gone: when there is none, or the library is missing.
    """

    def __init__(self) -> None:
        library = _library()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the library tells what it found
                self._device: Any = library.open(axis_convention=library.AxisConvention.ROS)
        except (RuntimeError, OSError) as why:
            raise Gone(f"no SpaceMouse found ({why}); plug one in, and let this user read /dev/hidraw*") from None

    @property
    def heard(self) -> float:
        """When the newest report came, by the library's clock [s]; none has at 0 or less."""
        return float(self._device.state.t)

    def poll(self) -> Reading:
        try:
            for _ in range(_EVENTS):
                before = self._device.state.t
                state = self._device.read()
                if state.t == before:
                    break
        except Exception as why:  # easyhid raises plain exceptions of its own
            raise Gone(f"SpaceMouse: {why}; plug it in again") from None
        buttons = {f"button{place}": float(value) for place, value in enumerate(state.buttons)}
        return {**{name: float(getattr(state, name)) for name in MOTIONS}, **buttons}

    def close(self) -> None:
        self._device.close()


def _library() -> Any:
    try:
        import pyspacemouse
    except (ImportError, OSError) as why:
        raise Gone(MISSING.format(why=why)) from None
    return pyspacemouse
