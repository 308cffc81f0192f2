"""A client that watches a camera and the joints of a running graph, newest of each with its stamp."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState

from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, to_ns

from .client_node import Client


@dataclass
class Joints:
    """One joint state."""

    stamp_ns: int
    names: list[str]
    positions: list[float]
    speeds: list[float] = field(default_factory=list)


class WatchingClient(Client):
    """Pictures of one camera and joint states, as they come. Use as a context manager.

    ``on_picture`` and ``on_joints`` are told each; ``picture`` is uint8 rgb (H, W, 3).
    """

    on_picture: Callable[[int, NDArray[np.uint8]], None] = staticmethod(lambda stamp_ns, picture: None)
    on_joints: Callable[[Joints], None] = staticmethod(lambda joints: None)

    def __enter__(self) -> WatchingClient:
        super().__enter__()
        return self

    def watch(self, camera: str) -> None:
        """Listen to a camera, blank for none, and to the joints."""
        if camera:
            self.create_subscription(Image, self._full(topics.image(camera)), self._on_image, CAMERA_QOS)
        self.create_subscription(JointState, self._full(topics.JOINT_STATES), self._on_state, CAMERA_QOS)

    def until(self, done: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Spin until ``done``.

        Raises:
            TimeoutError: naming what did not come.
        """
        end_s = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end_s:
                raise TimeoutError(f"{what} did not come within {timeout_s:g} s; see `armtune status`")
            self._spin()

    def _on_image(self, m: Image) -> None:
        if m.encoding in ("rgb8", "bgr8") and len(m.data) == m.height * m.width * 3:
            pixels = np.frombuffer(m.data, np.uint8).reshape(m.height, m.width, 3)
            self.on_picture(to_ns(m.header.stamp), pixels if m.encoding == "rgb8" else pixels[..., ::-1].copy())

    def _on_state(self, m: JointState) -> None:
        self.on_joints(Joints(to_ns(m.header.stamp), list(m.name), list(m.position), list(m.velocity)))
