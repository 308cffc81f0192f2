"""A hand that is followed, over real DDS: poses of a phone, joints of a leader arm, pedals beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState, Joy

from armtune_bringup.compose import compose, options
from armtune_interfaces.msg import GateState, Proposal, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import topics
from armtune_policies.contract.paths import config_root
from armtune_safety.kinematics import Kinematics
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, LATCHED_QOS
from armtune_teleop.settings import TeleopNodeParams
from harness import Stack, own_domain

LEASE, STEP_M = 77, 0.004
pytestmark = pytest.mark.slow


class Room:
    """A teleop node, and a gate played by hand that lends it the arm."""

    def __init__(self, stack: Stack, device: str) -> None:
        config = compose([f"teleop={device}"])
        self.robot, mjcf = config.robot, str(config_root().resolve() / "robot" / config.robot.mjcf)
        self.kinematics = Kinematics(config.robot, mjcf)
        self.stack, self.asked, self.step = stack, list[int](), 0
        stack.node.create_service(Lease, topics.LEASE, self._on_lease)
        self.proposals = stack.listen(topics.proposal("teleop"), Proposal, COMMAND_QOS)
        stack.bring_up(
            "armtune_teleop.teleop_node",
            "teleop_node",
            TeleopNodeParams(
                teleop=replace(config.teleop, silence_s=1.0), robot=config.robot, mjcf=mjcf, rate_hz=5.0
            ),  # a busy machine is no loss here
        )
        self._joy = stack.publisher(topics.JOY, Joy, EVENT_QOS)
        self._tick = stack.publisher(topics.STEP_TICK, StepTick, COMMAND_QOS)
        stack.publisher(topics.GATE_STATE, GateState, LATCHED_QOS).publish(GateState(mode=GateState.RUN, armed=True))

    def _on_lease(self, request: Lease.Request, response: Lease.Response) -> Lease.Response:
        self.asked.append(request.op)
        response.granted, response.lease = True, LEASE
        return response

    def follow(self, move: Callable[[int], None]) -> np.ndarray:
        """Hold the pedal and ``move`` on and on; return the proposals (n, 7) of six steps."""
        place = 0

        def on(down: int, goal: Callable[[], bool]) -> Callable[[], bool]:
            def look() -> bool:
                nonlocal place
                place += 1
                move(place)
                self._joy.publish(Joy(buttons=[down]))
                if self.asked and place % 5 == 0:
                    self.step += 1
                    self._tick.publish(StepTick(step=self.step, lease=LEASE, holder="teleop"))
                return goal()

            return look

        self.stack.until(on(0, lambda: place > 20), what="released")
        self.stack.until(on(1, lambda: len(self.proposals) >= 6), what="six steps followed")
        told = list(self.proposals)
        self.stack.until(on(0, lambda: Lease.Request.RELEASE in self.asked), what="given back")
        return np.array([p.values for p in told])


def test_pose_of_a_phone_is_followed_from_the_first_step_of_the_lease_on(stack: Stack) -> None:
    room = Room(stack, "pose")
    pub = stack.publisher(topics.POSE, PoseStamped, EVENT_QOS)

    def move(place: int) -> None:
        m = PoseStamped()
        m.pose.orientation.w, m.pose.position.x = 1.0, STEP_M * place
        pub.publish(m)

    deltas = room.follow(move)
    assert deltas[0, :6].tolist() == [0.0] * 6
    assert np.all(deltas[2:, 0] > 0.0) and np.abs(deltas[:, 1:6]).max() < 1e-9


def test_leader_arm_is_followed_as_its_tool_moves_and_its_finger_leads_the_gripper(stack: Stack) -> None:
    room = Room(stack, "leader")
    robot = room.robot
    pub = stack.publisher(topics.LEADER, JointState, EVENT_QOS)

    def joints(place: int) -> list[float]:
        return [robot.home_rad[0] + 0.01 * place, *robot.home_rad[1:]]

    def move(place: int) -> None:
        position = [*joints(place), robot.finger_m(1.0)]
        pub.publish(JointState(name=[*robot.joints, robot.finger_joint], position=position))

    deltas = room.follow(move)
    (p0, _), (p1, _) = (room.kinematics.tool_pose(joints(k)) for k in (21, 22))
    way: Any = (p1 - p0) / np.linalg.norm(p1 - p0)
    followed = deltas[2:, :3]
    assert np.all(followed @ way > 0.9 * np.linalg.norm(followed, axis=1)) and np.all(deltas[:, 6] == 1.0)
    assert np.all(deltas[2:, 5] > 0.0), "it turns with the waist"


def test_every_device_is_listed_with_how_it_is_reached() -> None:
    command = [sys.executable, "-m", "armtune_bringup.cli", "teleop", "--list", "--json"]
    with own_domain() as domain:
        env = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    found = {one["name"]: one["state"] for one in said["devices"]}
    assert set(found) == {name for name in options("teleop") if name != "none"} and said["graph"] == {}
    assert found["web"] == "a page in the browser, http://127.0.0.1:8765/"
    assert found["leader"] == "heard on teleop/leader and teleop/joy"
    assert found["gamepad"] == "plugged in" or "not there: " in found["gamepad"]
