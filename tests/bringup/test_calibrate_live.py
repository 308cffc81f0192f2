"""The commands that hear a running graph, as processes of their own: what the graph says is said by the observer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sensor_msgs.msg import Image, JointState

from armtune_bringup.compose import compose
from armtune_calibration.board import BoardParams
from armtune_calibration.record import find, load
from armtune_calibration.views import read_views
from armtune_interfaces.msg import GateState
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, LATCHED_QOS, to_stamp
from harness import Stack

ROBOT = compose([]).robot
WIDE, HIGH = 640, 480
PERIOD_NS = 20_000_000


def board_picture() -> np.ndarray:
    """The board in the middle of a grey picture, uint8 (480, 640, 3)."""
    picture, board = np.full((HIGH, WIDE), 130, np.uint8), BoardParams().picture(50)
    picture[100 : 100 + board.shape[0], 140 : 140 + board.shape[1]] = board
    return np.repeat(picture[:, :, None], 3, axis=2)


class Graph:
    """Says what an arm and a camera say, in the namespace of the robot."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.t_ns = stack, 10**18
        make = stack.node.create_publisher
        self._gate = make(GateState, f"/{ROBOT.name}/{topics.GATE_STATE}", LATCHED_QOS)
        self._gate.publish(GateState())
        self._joints = make(JointState, f"/{ROBOT.name}/{topics.JOINT_STATES}", CAMERA_QOS)
        self._image = make(Image, f"/{ROBOT.name}/{topics.image('front')}", CAMERA_QOS)

    def command(self, *arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "armtune_bringup.cli", "calibrate", *map(str, arguments)]
        env = {**os.environ, "ROS_DOMAIN_ID": str(self.stack.domain)}
        return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def say(self, finger_m: float, picture: np.ndarray | None = None) -> None:
        """One joint state and, if given, one picture, 20 ms after those before."""
        self.t_ns += PERIOD_NS
        state = JointState(name=[*ROBOT.joints, ROBOT.finger_joint], position=[*ROBOT.home_rad, finger_m])
        state.velocity, state.header.stamp = [0.0] * len(state.name), to_stamp(self.t_ns)
        self._joints.publish(state)
        if picture is not None:
            image = Image(height=HIGH, width=WIDE, encoding="rgb8", step=3 * WIDE, data=picture.tobytes())
            image.header.stamp = to_stamp(self.t_ns)
            self._image.publish(image)

    def until(self, done: Callable[[], bool], what: str, say: Callable[[], None]) -> None:
        self.stack.until(lambda: done() or bool(say()), timeout_s=120.0, what=what)


def test_gripper_is_measured_while_it_opens_and_closes(stack: Stack, tmp_path: Path) -> None:
    graph, ticks = Graph(stack), iter(range(10**6))
    process = graph.command("gripper", "arm-1", "--seconds", 3, "--data", tmp_path)
    ends = (0.0161, 0.0361)
    graph.until(
        lambda: process.poll() is not None, "the gripper measured", lambda: graph.say(ends[next(ticks) // 10 % 2])
    )
    said, _ = process.communicate(timeout=5)
    assert process.returncode == 0 and "closed 16.10 mm, open 36.10 mm" in said, said
    found = load(find("arm-1", tmp_path)).gripper
    assert found is not None and (found.closed_m, found.open_m) == ends


def test_views_are_kept_while_a_person_drives_until_ctrl_c(stack: Stack, tmp_path: Path) -> None:
    graph, picture = Graph(stack), board_picture()
    process = graph.command("capture", "robot", tmp_path)
    graph.until(lambda: (tmp_path / "000.json").exists(), "a view", lambda: graph.say(0.03, picture))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and "1 views in" in said, said
    view = read_views(tmp_path)[0]  # the same pose again is no new view
    assert view.about.base_from_tool is not None and view.picture().shape == (HIGH, WIDE, 3)
    assert abs(view.about.image_stamp_ns - view.about.joints_stamp_ns) <= 2 * PERIOD_NS  # either topic may lose one
