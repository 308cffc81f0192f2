"""One camera as a node: Image and CameraInfo with the stamp of acquisition."""

from __future__ import annotations

import array
import importlib.util
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from sensor_msgs.msg import CameraInfo, Image

from armtune_calibration.record import load
from armtune_policies.contract import ConfigError, topics
from armtune_safety.managed_node import CAMERA_QOS, LATCHED_QOS, ManagedNode, run, to_ns, to_stamp

from .calibrated import PARENTS, check, info, serial_of
from .frames import open_frames
from .realsense import RealSense
from .relay import Relay, info_of, pinhole_of, rgb_of
from .settings import LIVE, CameraNodeParams
from .shots import Shot


class CameraNode(ManagedNode):
    """Reads one source on a thread of its own and publishes from there.

    A read may block for a frame's time, so it stays off the executor; the heartbeat's
    evidence is that the source came back, with a frame or without: a driver that hangs shows.
    """

    Params = CameraNodeParams
    params: CameraNodeParams

    def set_up(self) -> None:
        camera, name = self.params.camera, self.params.name
        self._sought: RealSense | Relay | None = None
        if camera.source == "realsense":
            self._sought = RealSense(camera, camera.path_of(name), lambda: self.get_clock().now().nanoseconds)
        elif camera.source == "topic":
            self._sought = self._relay(camera.path_of(name))
        self._shots: Iterator[Shot | None] = self._sought or map(Shot, open_frames(camera, name))
        self._image = _image(camera.height_px, camera.width_px, f"{name}_optical")
        self._pixels = np.frombuffer(self._image.data, np.uint8).reshape(camera.height_px, camera.width_px, 3)
        self._depth_pub = self.create_publisher(Image, topics.depth(name), CAMERA_QOS) if camera.depth else None
        self._info = CameraInfo(height=camera.height_px, width=camera.width_px)
        if camera.calibration:
            self._calibrate()
        self._info.header.frame_id = self._image.header.frame_id
        self._image_pub = self.create_publisher(Image, topics.image(name), CAMERA_QOS)
        self._info_pub = self.create_publisher(CameraInfo, topics.camera_info(name), CAMERA_QOS)
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._watch = self.create_timer(0.1, self._look)

    def _relay(self, topic: str) -> Relay:
        """Listen to another driver's camera."""
        relay = Relay(self.params.camera, topic, time.monotonic())

        def on_image(m: Image) -> None:
            try:
                relay.put(rgb_of(m.encoding, m.height, m.width, m.step, m.data), to_ns(m.header.stamp))
            except ConfigError as why:
                self.fail(f"{topic}: {why}")

        def on_info(m: CameraInfo) -> None:
            relay.pinhole = pinhole_of(m.k, m.d, m.distortion_model)

        self._hears = [
            self.create_subscription(Image, topic, on_image, CAMERA_QOS),
            self.create_subscription(CameraInfo, info_of(topic), on_info, CAMERA_QOS),
        ]
        return relay

    def _calibrate(self) -> None:
        """Say what was measured of this camera; refuse another one than was measured."""
        camera, name = self.params.camera, self.params.name
        record = load(Path(camera.calibration)).camera(name)
        serial = self._sought.serial if isinstance(self._sought, RealSense) else serial_of(camera, name)
        check(record, camera.width_px, camera.height_px, serial)
        self._info = CameraInfo(**info(record))
        if record.pose is None:
            return
        place = TransformStamped(child_frame_id=self._image.header.frame_id)
        place.header.frame_id, place.header.stamp = PARENTS[record.pose.parent], self.get_clock().now().to_msg()
        to = place.transform
        to.translation = Vector3(**dict(zip("xyz", record.pose.position_m)))
        to.rotation = Quaternion(**dict(zip("xyzw", record.pose.quaternion_xyzw)))
        self._place_pub = self.create_publisher(TransformStamped, topics.extrinsics(name), LATCHED_QOS)
        self._place_pub.publish(place)
        if importlib.util.find_spec("tf2_msgs"):  # a ROS distribution has it; PyPI carries none
            kind = importlib.import_module("tf2_msgs.msg").TFMessage
            self._tf_pub = self.create_publisher(kind, topics.TF_STATIC, LATCHED_QOS)
            self._tf_pub.publish(kind(transforms=[place]))

    def start(self) -> None:
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(self._shots, self._quit), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if hasattr(self, "_quit"):
            self._quit.set()
            self._thread.join(timeout=2.0)

    def tear_down(self) -> None:
        self.stop()
        if isinstance(getattr(self, "_sought", None), RealSense):
            self._sought.close()  # type: ignore[union-attr]
        for subscription in getattr(self, "_hears", ()):
            self.destroy_subscription(subscription)
        if hasattr(self, "_watch"):
            self.destroy_timer(self._watch)
            self.destroy_publisher(self._image_pub)
            self.destroy_publisher(self._info_pub)

    def _look(self) -> None:
        """Turn what the reading thread ran into into the end of this process."""
        if not self._ended.empty():
            self.fail(f"{self.get_name()}: {self._ended.get_nowait()}")

    def _read(self, shots: Iterator[Shot | None], stop: threading.Event) -> None:
        camera = self.params.camera
        is_live = camera.source in LIVE
        period_s, count, due_s = 1.0 / camera.rate_hz, 0, time.monotonic()
        try:
            for shot in shots:
                now_ns = self.get_clock().now().nanoseconds  # a frame without a stamp was acquired just now
                if stop.is_set():
                    return
                self.did_work()
                if shot is None:
                    self._complain()
                    continue
                self._publish(shot, shot.stamp_ns or now_ns)
                count += 1
                self.report(frames=count)
                due_s = max(due_s + period_s, time.monotonic())
                if not is_live and stop.wait(timeout=max(0.0, due_s - time.monotonic())):
                    return
        except (OSError, ValueError) as why:
            self._ended.put(str(why))
            return
        except Exception as why:  # a thread that dies silently would look like a camera that stalls
            self._ended.put(f"unexpected {type(why).__name__}: {why}")
            return
        if is_live:
            self._ended.put(f"{camera.path_of(self.params.name)}: the camera gives no more frames")
        else:
            self.no_work()
            self.report("source ended", level=DiagnosticStatus.WARN)

    def _complain(self) -> None:
        """Say what keeps a camera from seeing; it is sought, and reset where that can be, until it does."""
        if self._sought is not None and self._sought.trouble:
            self.report(self._sought.trouble, level=DiagnosticStatus.ERROR, resets=self._sought.resets)
            self.get_logger().warning(f"{self._sought.trouble}; seeking it", throttle_duration_sec=5.0)

    def _publish(self, shot: Shot, stamp_ns: int) -> None:
        """Publish one frame, its CameraInfo of the same stamp, and depth where there is any."""
        np.copyto(self._pixels, shot.rgb)
        self._image.header.stamp = self._info.header.stamp = to_stamp(stamp_ns)
        if shot.pinhole is not None and not self._info.k[0]:
            (fx, fy), (cx, cy) = shot.pinhole.focal_px, shot.pinhole.centre_px
            self._info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
            self._info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
            self._info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
            self._info.d, self._info.distortion_model = list(shot.pinhole.distortion), "plumb_bob"
        self._image_pub.publish(self._image)
        self._info_pub.publish(self._info)
        if self._depth_pub is not None and shot.depth_mm is not None:
            height, width = shot.depth_mm.shape
            depth = Image(header=self._image.header, height=height, width=width, encoding="16UC1", step=2 * width)
            depth.data = array.array("B", shot.depth_mm.tobytes())
            self._depth_pub.publish(depth)


def _image(height_px: int, width_px: int, frame_id: str) -> Image:
    """An rgb8 message whose ``data`` is one array, written in place for each frame."""
    message = Image(height=height_px, width=width_px, encoding="rgb8", step=width_px * 3)
    message.header.frame_id = frame_id
    message.data = array.array("B", bytes(height_px * width_px * 3))
    return message


def main() -> None:
    run(lambda: CameraNode("camera_node"))


if __name__ == "__main__":
    main()
