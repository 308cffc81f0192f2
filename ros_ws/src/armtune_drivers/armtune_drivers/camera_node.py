"""One camera as a node: Image and CameraInfo with the stamp of acquisition."""

from __future__ import annotations

import array
import queue
import threading
import time
from collections.abc import Iterator

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image

from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, ManagedNode, run, to_stamp

from .frames import open_frames
from .settings import CameraNodeParams


class CameraNode(ManagedNode):
    """Reads one source on a thread of its own and publishes from there.

    A read may block for a frame's time, so it stays off the executor; the heartbeat's
    evidence is a frame published, so a dead camera shows.
    """

    Params = CameraNodeParams
    params: CameraNodeParams

    def set_up(self) -> None:
        camera, name = self.params.camera, self.params.name
        self._frames = open_frames(camera, name)
        self._image = _image(camera.height_px, camera.width_px, f"{name}_optical")
        self._pixels = np.frombuffer(self._image.data, np.uint8).reshape(camera.height_px, camera.width_px, 3)
        self._info = CameraInfo(height=camera.height_px, width=camera.width_px)
        self._info.header.frame_id = self._image.header.frame_id
        self._image_pub = self.create_publisher(Image, topics.image(name), CAMERA_QOS)
        self._info_pub = self.create_publisher(CameraInfo, topics.camera_info(name), CAMERA_QOS)
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._watch = self.create_timer(0.1, self._look)

    def start(self) -> None:
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(self._frames, self._quit), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if hasattr(self, "_quit"):
            self._quit.set()
            self._thread.join(timeout=2.0)

    def tear_down(self) -> None:
        self.stop()
        if hasattr(self, "_watch"):
            self.destroy_timer(self._watch)
            self.destroy_publisher(self._image_pub)
            self.destroy_publisher(self._info_pub)

    def _look(self) -> None:
        """Turn what the reading thread ran into into the end of this process."""
        if not self._ended.empty():
            self.fail(f"{self.get_name()}: {self._ended.get_nowait()}")

    def _read(self, frames: Iterator[np.ndarray], stop: threading.Event) -> None:
        live = self.params.camera.source == "uvc"
        period_s, count, due_s = 1.0 / self.params.camera.rate_hz, 0, time.monotonic()
        try:
            for frame in frames:
                stamp_ns = self.get_clock().now().nanoseconds  # a live frame was acquired just now
                if stop.is_set():
                    return
                self._publish(frame, stamp_ns)
                count += 1
                self.report(frames=count)
                due_s = max(due_s + period_s, time.monotonic())
                if not live and stop.wait(timeout=max(0.0, due_s - time.monotonic())):
                    return
        except (OSError, ValueError) as why:
            self._ended.put(str(why))
            return
        if live:
            self._ended.put(f"{self.params.camera.path_of(self.params.name)}: the camera gives no more frames")
        else:
            self.report("source ended", level=DiagnosticStatus.WARN)

    def _publish(self, frame: np.ndarray, stamp_ns: int) -> None:
        """Publish one rgb8 frame, uint8, shape (H, W, 3), and its CameraInfo of the same stamp."""
        np.copyto(self._pixels, frame)
        self._image.header.stamp = self._info.header.stamp = to_stamp(stamp_ns)
        self._image_pub.publish(self._image)
        self._info_pub.publish(self._info)
        self.did_work()


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
