"""RealSense cameras through librealsense: colour, depth in its view, real stamps, and back after a stall or unplugging.

A camera that stalls often does so without an error (librealsense#13358, #7252), so frames are watched, and what
does not come back by itself is reset. The sensors are opened one by one, not through ``rs.pipeline``, so that a
software device is used just like one on USB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from armtune_policies.contract import ConfigError

from .settings import CameraParams
from .shots import ClockMap, Pinhole, Shot, Sight

_POLL_MS = 100
_BACK_S = 10.0
"""A camera takes 2 to 5 s to be on the bus again after a reset."""
_SETTLE_FRAMES = 30
"""Automatic exposure and white balance are steady after a second."""


def devices() -> Sequence[Any]:
    """Return the cameras that are plugged in."""
    import pyrealsense2 as rs

    return list(rs.context().query_devices())


class RealSense:
    """One camera, found by its serial number; an iterator of shots, and of None when none came in time.

    ``trouble`` says what is wrong while it is not seeing, ``resets`` how often it was reset.

    Args:
        serial: As printed on it and as ``rs-enumerate-devices`` says; blank takes the only one there is.
        now_ns: The clock that stamps are in.

    Raises:
        ConfigError: when it is not there, or cannot give the size and rate asked for.
    """

    def __init__(self, params: CameraParams, serial: str, now_ns: Callable[[], int]) -> None:
        try:
            import pyrealsense2 as rs
        except ImportError as why:
            raise ConfigError(
                f"camera.source: realsense needs pyrealsense2 ({why}); run `pip install pyrealsense2`, "
                "`apt install libusb-1.0-0`"
            ) from None
        self._rs, self._params, self._now_ns = rs, params, now_ns
        self.trouble, self.resets = "", 0
        self.serial = serial
        self._sensors: list[Any] = []
        self._open(self._find())

    # -- finding and opening -------------------------------------------------------------------

    def _serial_of(self, device: Any) -> str:
        return str(device.get_info(self._rs.camera_info.serial_number))

    def _find(self) -> Any:
        found = {self._serial_of(device): device for device in devices()}
        if not self.serial and len(found) == 1:
            self.serial = next(iter(found))
        if self.serial not in found:
            known = ", ".join(found) or "none"
            raise ConfigError(
                f"camera {self.serial or 'without a serial'}: not plugged in; found: {known}; set camera.paths"
            )
        return found[self.serial]

    def _open(self, device: Any) -> None:
        """Start the streams; each sensor pushes into one queue."""
        rs, p = self._rs, self._params
        wanted = [(rs.stream.color, rs.format.rgb8)] + ([(rs.stream.depth, rs.format.z16)] if p.depth else [])
        chosen: dict[int, tuple[Any, list[Any]]] = {}
        for stream, layout in wanted:
            place, sensor, profile = self._profile(device, stream, layout)
            chosen.setdefault(place, (sensor, []))[1].append(profile)
        self._align = rs.align(rs.stream.color) if p.depth else None
        self._inbox = rs.syncer(2) if p.depth else rs.frame_queue(2)
        self._device, self._sensors = device, [sensor for sensor, _ in chosen.values()]
        self._units_mm = 1.0
        for sensor, profiles in chosen.values():
            self._expose(sensor)
            if sensor.supports(rs.option.depth_units):
                self._units_mm = sensor.get_option(rs.option.depth_units) * 1e3
            sensor.open(profiles)
            sensor.start(self._inbox)
        self._clock, self._frames = ClockMap(), 0
        self._sight = Sight(p.stall_s, p.frozen_frames, time.monotonic())

    def _profile(self, device: Any, stream: Any, layout: Any) -> tuple[int, Any, Any]:
        p, sizes = self._params, set[str]()
        for place, sensor in enumerate(device.query_sensors()):
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() != stream or profile.format() != layout:
                    continue
                v = profile.as_video_stream_profile()
                if (v.width(), v.height(), v.fps()) == (p.width_px, p.height_px, round(p.rate_hz)):
                    return place, sensor, profile
                sizes.add(f"{v.width()}x{v.height()} at {v.fps()}")
        raise ConfigError(
            f"camera {self.serial}: no {stream.name} of {p.width_px}x{p.height_px} at {p.rate_hz:g} Hz; "
            f"it has {', '.join(sorted(sizes)) or 'none'}"
        )

    # -- exposure ------------------------------------------------------------------------------------

    def _expose(self, sensor: Any) -> None:
        rs, p = self._rs, self._params
        self._set(sensor, rs.option.enable_auto_exposure, 0.0 if p.exposure_us else 1.0)
        if p.exposure_us:
            self._set(sensor, rs.option.exposure, p.exposure_us)

    def _lock(self) -> None:
        """What a learner sees must not change with what is in view: keep what automatic control has found."""
        rs = self._rs
        for sensor in self._sensors:
            for automatic, value in (
                (rs.option.enable_auto_exposure, rs.option.exposure),
                (rs.option.enable_auto_white_balance, rs.option.white_balance),
            ):
                if sensor.supports(automatic) and sensor.supports(value):
                    found = sensor.get_option(value)
                    self._set(sensor, automatic, 0.0)
                    self._set(sensor, value, found)

    def _set(self, sensor: Any, option: Any, value: float) -> None:
        if sensor.supports(option) and not sensor.is_option_read_only(option):
            sensor.set_option(option, value)

    # -- frames ----------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Shot | None]:
        return self

    def __next__(self) -> Shot | None:
        """Return the next shot, or None after a tenth of a second without; one that is lost is sought on the way."""
        if not self._sensors:
            self._seek()
            return None
        try:
            shot = self._take()
        except RuntimeError as error:  # librealsense's own, as of a camera that left the bus in the middle
            self._lose(f"camera {self.serial}: {error}")
            return None
        if why := self._sight.trouble(time.monotonic()):
            self._lose(why)
            return None
        return shot

    def _take(self) -> Shot | None:
        rs = self._rs
        try:
            got = self._inbox.wait_for_frames(_POLL_MS) if self._align else self._inbox.wait_for_frame(_POLL_MS)
        except RuntimeError:
            return None
        depth = None
        if self._align:
            if not (got.get_color_frame() and got.get_depth_frame()):
                return None
            got = self._align.process(got)
            depth = np.asanyarray(got.get_depth_frame().get_data())
            if abs(self._units_mm - 1.0) > 1e-6:
                depth = np.clip(np.rint(depth * self._units_mm), 0, 65535).astype(np.uint16)
            got = got.get_color_frame()
        rgb = np.asanyarray(got.get_data()).reshape(self._params.height_px, self._params.width_px, 3)
        now_ns = self._now_ns()
        stamp_ns = round(got.get_timestamp() * 1e6)
        if got.get_frame_timestamp_domain() == rs.timestamp_domain.hardware_clock:
            stamp_ns = self._clock.system_ns(stamp_ns, now_ns)
        self._sight.saw(rgb, time.monotonic())
        self._frames += 1
        if self._frames == _SETTLE_FRAMES and self._params.lock_exposure and not self._params.exposure_us:
            self._lock()
        return Shot(rgb, min(stamp_ns, now_ns), depth, _pinhole(got))

    # -- lost and found -----------------------------------------------------------------------------------

    def _lose(self, why: str) -> None:
        """Close it and ask for a hardware reset; one that is unplugged cannot be asked."""
        self.trouble, self._lost_s = why, time.monotonic()
        self.close()
        self.resets += 1
        with suppress(RuntimeError):
            self._device.hardware_reset()

    def _seek(self) -> None:
        """Look whether it is there again; after too long, ask for another reset."""
        time.sleep(_POLL_MS / 1e3)
        try:
            self._open(self._find())
            self.trouble = ""
        except (ConfigError, RuntimeError) as why:
            self.close()
            self.trouble = str(why)
            if time.monotonic() - self._lost_s > _BACK_S:
                self._lose(str(why))

    def close(self) -> None:
        """Stop the streams; harmless twice, and for a camera that is gone."""
        for sensor in self._sensors:
            with suppress(RuntimeError):
                sensor.stop()
            with suppress(RuntimeError):
                sensor.close()
        self._sensors = []


def _pinhole(frame: Any) -> Pinhole:
    """Return the intrinsics that the camera itself knows of this stream."""
    i = frame.profile.as_video_stream_profile().get_intrinsics()
    return Pinhole((i.fx, i.fy), (i.ppx, i.ppy), tuple(i.coeffs))
