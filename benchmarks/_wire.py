"""The other ends of the wire, each a process: a camera, an arm, a proposer, and a naive policy node.

``python -m benchmarks._wire ROLE SECONDS [ENCODER HEAD]``; the arm and the proposer print what
they heard as their last line, JSON.
"""

from __future__ import annotations

import array
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces.msg import ControllerState, Decision, Proposal, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import ActionSpec, topics
from armtune_policies.contract.paths import config_root
from armtune_safety.controller import Controller
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, EVENT_QOS, LATCHED_QOS, to_ns, to_stamp
from armtune_safety.punctual import be_punctual
from armtune_safety.settings import RobotParams
from armtune_safety.wire import message_of

HEIGHT_PX, WIDTH_PX, RATE_HZ = 480, 640, 30.0
NAIVE_SETPOINT, SILENT_S = "naive/setpoint", 0.1


class Camera(Node):
    """Publishes 640x480 pictures at 30 Hz; the stamp is of the moment the pixels are in memory."""

    def __init__(self) -> None:
        super().__init__("camera")
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (8, 12, 16, 3), dtype=np.uint8)
        self._pictures = [np.ascontiguousarray(c.repeat(40, 0).repeat(40, 1)) for c in coarse]
        self._image = Image(height=HEIGHT_PX, width=WIDTH_PX, encoding="rgb8", step=3 * WIDTH_PX)
        self._image.data = array.array("B", bytes(HEIGHT_PX * WIDTH_PX * 3))
        self._view = np.frombuffer(self._image.data, np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 3)
        self._pub = self.create_publisher(Image, topics.image("front"), CAMERA_QOS)
        self._count = 0
        self.create_timer(1.0 / RATE_HZ, self._shoot)

    def _shoot(self) -> None:
        self._count += 1
        np.copyto(self._view, self._pictures[self._count % len(self._pictures)])
        self._image.header.stamp = self.get_clock().now().to_msg()
        self._pub.publish(self._image)


class Arm(Node):
    """An arm that is where its setpoint says, 100 joint states a second; notes what it hears and when."""

    def __init__(self) -> None:
        super().__init__("arm")
        robot = RobotParams.from_mapping(yaml.safe_load((config_root() / "robot/wx250s.yaml").read_text()))
        self._state = JointState(name=[*robot.joints, robot.finger_joint])
        self._state.position = [*robot.home_rad, robot.gripper_open_m]
        self._pub = self.create_publisher(JointState, topics.JOINT_STATES, COMMAND_QOS)
        self.heard: dict[str, list[Any]] = {"setpoints": [], "proposals": [], "naive": []}
        # The gate stamps setpoints by the steady clock, everybody else by the system's.
        self.offset_ns = self.get_clock().now().nanoseconds - time.monotonic_ns()
        self.create_subscription(JointTrajectory, topics.SETPOINT, self._on_setpoint, COMMAND_QOS)
        self.create_subscription(JointTrajectory, NAIVE_SETPOINT, self._on_naive, COMMAND_QOS)
        self.create_subscription(Proposal, topics.proposal("policy"), self._on_proposal, COMMAND_QOS)
        self.create_timer(0.01, self._tell)
        self._says = self.create_publisher(ControllerState, topics.CONTROLLER_STATE, LATCHED_QOS)
        state = message_of(ControllerState, Controller.enforcing(robot, SILENT_S, name="arm"), is_simulated=True)
        state.stamp = self.get_clock().now().to_msg()
        self._says.publish(state)

    def _tell(self) -> None:
        self._state.header.stamp = self.get_clock().now().to_msg()
        self._pub.publish(self._state)

    def _on_setpoint(self, path: JointTrajectory) -> None:
        self.heard["setpoints"].append((self.get_clock().now().nanoseconds, to_ns(path.header.stamp) + self.offset_ns))
        self._state.position = path.points[0].positions

    def _on_naive(self, path: JointTrajectory) -> None:
        self.heard["naive"].append((self.get_clock().now().nanoseconds, to_ns(path.header.stamp)))

    def _on_proposal(self, proposal: Proposal) -> None:
        self.heard["proposals"].append((to_ns(proposal.stamp), to_ns(proposal.observation_stamp), proposal.step))


class Proposer(Node):
    """A policy without a model; answers each step at some moment of a tick.

    Times are the steady clock's, the gate's own.
    """

    def __init__(self) -> None:
        be_punctual()  # a listener that is late misses setpoints, and the gate would be blamed
        super().__init__("proposer")
        self._rng, self._digest, self._seq = np.random.default_rng(0), ActionSpec().digest, 0
        self.heard: dict[str, list[Any]] = {
            "setpoints": [], "proposals": [], "decisions": [], "steps": [], "refusals": []
        }  # fmt: skip
        self._pub = self.create_publisher(Proposal, topics.proposal("policy"), COMMAND_QOS)
        self._leases = self.create_client(Lease, topics.LEASE)
        self.create_subscription(JointTrajectory, topics.SETPOINT, self._on_setpoint, EVENT_QOS)
        self.create_subscription(StepTick, topics.STEP_TICK, self._on_tick, EVENT_QOS)
        self.create_subscription(Decision, topics.DECISION, self._on_decision, EVENT_QOS)
        self._tick, self._answered = StepTick(), -1
        self.create_timer(0.2003, self._propose)  # so that its phase in the gate's tick wanders
        self.create_timer(0.25, self._acquire)

    def _acquire(self) -> None:
        if self._tick.holder != "policy" and self._leases.service_is_ready():
            wish = Lease.Request(op=Lease.Request.ACQUIRE, source="policy", episode_id="bench-00000", duration_s=5.0)
            self._leases.call_async(wish).add_done_callback(lambda answer: self._note(answer.result()))

    def _note(self, answer: Lease.Response) -> None:
        if not answer.granted and answer.reason not in self.heard["refusals"]:
            self.heard["refusals"].append(answer.reason)

    def _on_tick(self, tick: StepTick) -> None:
        self._tick = tick
        self.heard["steps"].append((to_ns(tick.stamp), tick.step))

    def _propose(self) -> None:
        tick = self._tick
        if tick.holder != "policy" or tick.step == self._answered:
            return
        self._answered, self._seq = tick.step, self._seq + 1
        values = [*self._rng.uniform(-0.01, 0.01, 3), *self._rng.uniform(-0.05, 0.05, 3), self._rng.uniform()]
        proposal = Proposal(episode_id=tick.episode_id, step=tick.step, source="policy", seq=self._seq)
        proposal.lease, proposal.spec_digest, proposal.values = tick.lease, self._digest, values
        proposal.observation_stamp = self.get_clock().now().to_msg()
        self.heard["proposals"].append((time.monotonic_ns(), tick.step))
        self._pub.publish(proposal)

    def _on_setpoint(self, path: JointTrajectory) -> None:
        self.heard["setpoints"].append((time.monotonic_ns(), to_ns(path.header.stamp)))

    def _on_decision(self, decision: Decision) -> None:
        if decision.source:
            self.heard["decisions"].append(decision.step)


class Naive(Node):
    """What a tutorial does: image in, resize, infer, command out; no gate, no checks, no clock."""

    def __init__(self, encoder: Path, head: Path) -> None:
        super().__init__("naive")
        self._encoder = ort.InferenceSession(str(encoder))
        self._head = ort.InferenceSession(str(head))
        self._size = self._encoder.get_inputs()[0].shape[1:3]
        self._pub = self.create_publisher(JointTrajectory, NAIVE_SETPOINT, 10)
        self.create_subscription(Image, topics.image("front"), self._on_image, qos_profile_sensor_data)

    def _on_image(self, image: Image) -> None:
        frame = np.array(image.data, dtype=np.uint8).reshape(image.height, image.width, 3)
        small = cv2.resize(frame, self._size[::-1])[None]
        features = self._encoder.run(None, {"image.front": small})[0]
        other = {"state": np.zeros((1, 7), np.float32), "sentence": np.zeros((1, 384), np.float32)}
        values = self._head.run(None, {"features": features, **other})[0][0]
        path = JointTrajectory(points=[JointTrajectoryPoint(positions=values.tolist())])
        path.header.stamp = to_stamp(to_ns(image.header.stamp))
        self._pub.publish(path)


def main(role: str, seconds: str, *models: str) -> None:
    rclpy.init()
    roles = {"camera": Camera, "arm": Arm, "naive": Naive, "proposer": Proposer}
    node = roles[role](*map(Path, models))
    executor = SingleThreadedExecutor() if role == "naive" else EventsExecutor()
    executor.add_node(node)
    end_s = time.monotonic() + float(seconds)
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    if isinstance(node, (Arm, Proposer)):
        print(json.dumps(node.heard), flush=True)
    executor.shutdown(timeout_sec=1.0)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
