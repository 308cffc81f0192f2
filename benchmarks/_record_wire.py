"""The other ends of the recorder's wires.

``source SECONDS`` is cameras, arm, policy and gate; it prints, last, what it sent: stamps [ns] by
topic. ``plain FILE`` is a naive writer.
"""

from __future__ import annotations

import array
import json
import signal
import sys
import time
from typing import Any

import numpy as np
import rclpy
from mcap.writer import Writer
from rclpy.executors import ExternalShutdownException
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from armtune_interfaces.msg import Decision, EpisodeState, Observation
from armtune_policies.contract import topics
from armtune_policies.store import schemas
from armtune_safety.managed_node import CAMERA_QOS, EVENT_QOS, LATCHED_QOS, STREAM_QOS, to_ns

CAMERAS, HEIGHT_PX, WIDTH_PX = ("front", "wrist"), 480, 640
EPISODE, SMALL_PX = "bench-00000", 96


class Source(Node):
    """Two cameras at 30 Hz, joints at 100 Hz, a control step at 5 Hz."""

    def __init__(self) -> None:
        super().__init__("source")
        self.sent: dict[str, list[int]] = {camera: [] for camera in CAMERAS} | {"joints": []}
        self._pictures = moving_pictures()
        self._image = Image(height=HEIGHT_PX, width=WIDTH_PX, encoding="rgb8", step=3 * WIDTH_PX)
        self._image.data = array.array("B", bytes(HEIGHT_PX * WIDTH_PX * 3))
        self._view = np.frombuffer(self._image.data, np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 3)
        small = np.ascontiguousarray(self._pictures[0][::5, ::6][:SMALL_PX, :SMALL_PX])
        self._small = Image(height=SMALL_PX, width=SMALL_PX, encoding="rgb8", step=3 * SMALL_PX, data=small.tobytes())
        self._films = {camera: self.create_publisher(Image, topics.image(camera), CAMERA_QOS) for camera in CAMERAS}
        self._joints = self.create_publisher(JointState, topics.JOINT_STATES, EVENT_QOS)
        self._states = self.create_publisher(EpisodeState, topics.EPISODE_STATE, LATCHED_QOS)
        self._seen = self.create_publisher(Observation, topics.OBSERVATION, EVENT_QOS)
        self._decided = self.create_publisher(Decision, topics.DECISION, EVENT_QOS)
        self._count = self._step = 0
        for period_s, what in ((1 / 30, self._shoot), (0.01, self._feel), (0.2, self._decide)):
            self.create_timer(period_s, what)

    def is_heard(self) -> bool:
        return all(p.get_subscription_count() for p in (*self._films.values(), self._joints))

    def say(self, outcome: str = "") -> None:
        phase = EpisodeState.RESTING if outcome else EpisodeState.ACTING
        end = self._step - 1 if outcome else -1
        state = EpisodeState(run_id="bench", episode_id=EPISODE, phase=phase, outcome=outcome, end_step=end)
        self._states.publish(state)

    def _shoot(self) -> None:
        self._count += 1
        for shift, (camera, film) in enumerate(self._films.items()):
            np.copyto(self._view, self._pictures[(self._count + 5 * shift) % len(self._pictures)])
            self._image.header.stamp = self.get_clock().now().to_msg()
            film.publish(self._image)
            self.sent[camera].append(to_ns(self._image.header.stamp))

    def _feel(self) -> None:
        values = [0.1] * 7
        state = JointState(name=list("abcdefg"), position=values, velocity=values, effort=values)
        state.header.stamp = self.get_clock().now().to_msg()
        self._joints.publish(state)
        self.sent["joints"].append(to_ns(state.header.stamp))

    def _decide(self) -> None:
        seen = Observation(episode_id=EPISODE, step=self._step, cameras=["front"], images=[self._small])
        seen.header.stamp = self.get_clock().now().to_msg()
        self._seen.publish(seen)
        values = [0.01] * 7
        self._decided.publish(
            Decision(episode_id=EPISODE, step=self._step, source="policy", proposed=values, allowed=values)
        )
        self._step += 1


class Plain(Node):
    """What a tutorial does: subscribe, write."""

    def __init__(self, path: str) -> None:
        super().__init__("plain")
        self._file = open(path, "wb")
        self.writer = Writer(self._file, use_chunking=False)
        self.writer.start(profile="ros2")
        for topic, kind, name in (
            *((topics.image(camera), Image, schemas.IMAGE) for camera in CAMERAS),
            (topics.JOINT_STATES, JointState, schemas.JOINT_STATE),
        ):
            schema = self.writer.register_schema(name, "ros2msg", schemas.definition(name).encode())
            channel = self.writer.register_channel(topic, "cdr", schema)
            self.create_subscription(kind, topic, self._keep(channel), STREAM_QOS, raw=True)

    def _keep(self, channel: int) -> Any:
        def keep(data: bytes) -> None:
            now_ns = time.time_ns()
            self.writer.add_message(channel, now_ns, data, now_ns)

        return keep

    def close(self) -> None:
        self.writer.finish()
        self._file.close()


def moving_pictures(count: int = 30) -> list[np.ndarray]:
    """Pictures (480, 640, 3) like a camera's: smooth, with things that move and a sensor's noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    made = []
    for k in range(count):
        base = 90 + 40 * np.sin(columns / 90.0) + 30 * np.cos(rows / 70.0)
        picture = np.stack([base, base * 0.9, base * 0.8], axis=-1)
        x, y = int(320 + 200 * np.cos(2 * np.pi * k / count)), int(240 + 120 * np.sin(2 * np.pi * k / count))
        picture[y - 40 : y + 40, x - 40 : x + 40] = (200, 40, 40)
        made.append(np.clip(picture + rng.normal(0, 2.5, picture.shape), 0, 255).astype(np.uint8))
    return made


def main(role: str, argument: str) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init()
    node: Any = Source() if role == "source" else Plain(argument)
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        if role == "source":
            _feed(node, executor, float(argument))
        while role == "plain":
            executor.spin_once(timeout_sec=0.2)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    if role == "plain":
        node.close()


def _feed(node: Source, executor: EventsExecutor, seconds: float) -> None:
    end_s = time.monotonic() + 20.0
    while not node.is_heard() and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    node.say()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    node.say("timeout")
    print(json.dumps(node.sent), flush=True)
    end_s = time.monotonic() + 1.0  # a latched state goes with its publisher
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
