"""The simulated arm as others meet it: over DDS, in real time and in lockstep."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces.msg import ControllerState, Truth
from armtune_interfaces.srv import ResetWorld
from armtune_policies.contract import TaskPair, topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, LATCHED_QOS, to_ns, to_stamp
from armtune_sim.gated import default_gate
from armtune_sim.settings import SimNodeParams, SimParams
from harness import Stack

GATE = default_gate()
ROBOT = GATE.robot
NAMES = [*ROBOT.joints, ROBOT.finger_joint]
TASK = TaskPair(name="bin_sort", forward="put the peg in the bin", backward="take the peg out of the bin")
HOME = [*ROBOT.home_rad, ROBOT.gripper_open_m]
MODULE = "armtune_sim.sim_node"


def params(**more: object) -> SimNodeParams:
    return SimNodeParams(robot=ROBOT, task=TASK, sim=SimParams(), mjcf=GATE.mjcf, **more)


def path(points: Sequence[Sequence[float]], stamp_ns: int = 0, names: Sequence[str] = NAMES) -> JointTrajectory:
    message = JointTrajectory(joint_names=list(names))
    message.header.stamp = to_stamp(stamp_ns)
    message.points = [JointTrajectoryPoint(positions=[float(v) for v in point]) for point in points]
    return message


class Lockstep:
    """The other end of the barrier."""

    def __init__(self, stack: Stack, **more: object) -> None:
        self.stack = stack
        self.joints = stack.listen(topics.JOINT_STATES, JointState, COMMAND_QOS)
        self.images = stack.listen(topics.image("front"), Image, COMMAND_QOS)
        self.clocks = stack.listen(topics.CLOCK, Clock, COMMAND_QOS)
        stack.bring_up(MODULE, "sim_node", params(time="lockstep", **more))
        self.setpoint = stack.publisher(topics.SETPOINT, JointTrajectory, COMMAND_QOS)

    def newest(self) -> JointState:
        self.stack.until(lambda: bool(self.joints), what="a joint state")
        return self.joints[-1]

    def step(self, points: Sequence[Sequence[float]]) -> JointState:
        """Answer the open barrier; return the joint state of the next one."""
        stamp_ns = to_ns(self.newest().header.stamp)
        self.setpoint.publish(path(points, stamp_ns))
        return self.stack.wait_for(
            topics.JOINT_STATES, JointState, lambda m: to_ns(m.header.stamp) > stamp_ns, qos=COMMAND_QOS
        )


def test_one_period_passes_when_the_barrier_is_answered(stack: Stack) -> None:
    arm = Lockstep(stack)
    start = arm.newest()
    goal = [q + 0.05 for q in HOME[:6]] + [HOME[6]]
    path_there = [[a + (b - a) * (i + 1) / 20 for a, b in zip(HOME, goal)] for i in range(20)]
    after = arm.step(path_there)
    assert to_ns(after.header.stamp) - to_ns(start.header.stamp) == 200_000_000
    assert list(after.name) == NAMES
    np.testing.assert_allclose(after.position, goal, atol=0.01)
    stamp_ns = to_ns(after.header.stamp)
    stack.until(lambda: any(to_ns(m.header.stamp) == stamp_ns for m in arm.images), what="the picture of that moment")
    stack.until(lambda: any(to_ns(m.clock) == stamp_ns for m in arm.clocks), what="the clock of that moment")


def test_time_stands_still_when_nobody_answers_the_open_barrier(stack: Stack) -> None:
    arm = Lockstep(stack)
    stamp_ns = to_ns(arm.newest().header.stamp)
    arm.setpoint.publish(path([HOME] * 20, stamp_ns - 1))
    arm.setpoint.publish(path([HOME] * 3, stamp_ns))
    arm.setpoint.publish(path([[np.nan] * 7] * 20, stamp_ns))
    heard = len(arm.joints)
    stack.until(lambda: len(arm.joints) >= heard + 2, what="the barrier again, for those who came late")
    assert {to_ns(m.header.stamp) for m in arm.joints} == {stamp_ns}


def test_same_motion_follows_when_scene_and_setpoints_are_the_same(stack: Stack) -> None:
    arm, ends = Lockstep(stack), []
    points = [[q + 0.002 * i for q in HOME[:6]] + [HOME[6]] for i in range(20)]
    for _ in range(2):
        request = ResetWorld.Request(seed=9, direction="backward")
        before_ns = to_ns(arm.newest().header.stamp)
        assert stack.call(ResetWorld, topics.RESET_WORLD, request).done
        stack.until(lambda: to_ns(arm.newest().header.stamp) > before_ns, what="the new scene")  # noqa: B023
        ends.append(list(arm.step(points).position))
    assert ends[0] == ends[1]


def test_truth_names_the_direction_that_is_done_when_the_scene_is_new(stack: Stack) -> None:
    Lockstep(stack)
    answer = stack.call(ResetWorld, topics.RESET_WORLD, ResetWorld.Request(seed=3, direction="backward"))
    assert answer.done
    truth = stack.wait_for(topics.TRUTH, Truth, lambda m: m.world_seed == 3)
    assert (truth.forward_success, truth.backward_success) == (True, False)
    assert list(truth.names) == ["peg", "bin"]
    bad = stack.call(ResetWorld, topics.RESET_WORLD, ResetWorld.Request(seed=3, direction="up"))
    assert not bad.done
    assert "forward or backward" in bad.reason


class Real:
    """The other end of the setpoint topic, at its own pace."""

    def __init__(self, stack: Stack, **more: object) -> None:
        self.stack = stack
        self.joints = stack.listen(topics.JOINT_STATES, JointState, CAMERA_QOS)
        stack.bring_up(MODULE, "sim_node", params(time="real", **more))
        self.setpoint = stack.publisher(topics.SETPOINT, JointTrajectory, COMMAND_QOS)
        self.waist = HOME[0]

    def creep_to(self, goal: float, step: float = 0.015) -> None:
        """Send one setpoint a joint state, each ``step`` rad nearer to the goal for the waist."""

        def arrived() -> bool:
            self.waist += float(np.clip(goal - self.waist, -step, step))
            self.setpoint.publish(path([[self.waist, *HOME[1:]]]))
            return abs(self.waist - goal) < 1e-9 and abs(self.joints[-1].position[0] - goal) < 0.01

        self.stack.until(arrived, what="the arm at its goal")

    def rest(self, after: int) -> list[float]:
        """Where the waist was in the last 20 of 60 joint states more."""
        self.stack.until(lambda: len(self.joints) > after + 60, what="joint states in silence")
        return [m.position[0] for m in self.joints[-20:]]


def test_arm_follows_then_holds_when_setpoints_come_and_fall_silent(stack: Stack) -> None:
    arm = Real(stack)
    states = stack.listen(topics.CONTROLLER_STATE, ControllerState, LATCHED_QOS)
    arm.creep_to(HOME[0] + 0.2)
    stack.wait_for(topics.CONTROLLER_STATE, ControllerState, lambda m: not m.is_holding, qos=LATCHED_QOS)
    count = len(states)
    stack.wait_for(
        topics.CONTROLLER_STATE, ControllerState, lambda m: m.is_holding, qos=LATCHED_QOS, newer_than=count - 1
    )
    rest = arm.rest(len(arm.joints))
    assert max(rest) - min(rest) < 1e-3
    assert rest[-1] == pytest.approx(HOME[0] + 0.2, abs=0.01)


def test_setpoint_is_refused_and_the_arm_stays_when_it_jumps_or_leaves_the_limits(stack: Stack) -> None:
    arm = Real(stack)
    arm.creep_to(HOME[0] + 0.05)
    for bad in (HOME[0] + 1.5, 4.0):
        count = len(arm.joints)
        arm.setpoint.publish(path([[bad, *HOME[1:]]]))
        assert arm.rest(count)[-1] == pytest.approx(HOME[0] + 0.05, abs=0.01)
    text = stack.log("sim_node")
    assert "waist faster than" in text

    def refusals(m: DiagnosticArray) -> bool:
        return any(v.key == "refused" and int(v.value) == 2 for status in m.status for v in status.values)

    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, refusals)


def test_controller_says_its_limits_and_its_watchdog_even_to_who_comes_late(stack: Stack) -> None:
    stack.bring_up(MODULE, "sim_node", params(time="real"))
    said = stack.wait_for(topics.CONTROLLER_STATE, ControllerState, qos=LATCHED_QOS)
    assert list(said.joints) == NAMES
    assert said.is_simulated and said.is_holding and said.boot_id and said.name == "sim_node"
    np.testing.assert_allclose(said.position_low, [*ROBOT.joint_lower_rad, ROBOT.gripper_closed_m])
    np.testing.assert_allclose(said.position_high, [*ROBOT.joint_upper_rad, ROBOT.gripper_open_m])
    np.testing.assert_allclose(said.velocity_limit[:6], ROBOT.joint_velocity_rad_s)
    assert said.silence_s == pytest.approx(0.1)


def rows(file: Path) -> list[list[str]]:
    lines = file.read_text().splitlines()
    assert lines[0].split(",") == ["steady_ns", "sim_ns", "source", *(f"{x}{i}" for x in "sm" for i in range(7))]
    return [line.split(",") for line in lines[1:]]


def test_arms_own_log_has_a_row_a_tick_when_in_lockstep(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "arm.csv"
    arm = Lockstep(stack, arm_log=str(file))
    goal = [HOME[0] + 0.02, *HOME[1:]]
    arm.step([goal] * 20)
    after = arm.step([[HOME[0] + 2.0, *HOME[1:]]] * 20)  # far too fast: refused whole, time goes on
    found = rows(file)
    assert [row[2] for row in found] == ["setpoint"] * 20 + ["hold"] * 20
    assert {int(b[1]) - int(a[1]) for a, b in pairwise(found)} == {10_000_000}
    assert found[-1][3:9] == found[19][10:16], "it holds where it was"
    np.testing.assert_allclose([float(v) for v in found[-1][3:9]], goal[:6], atol=1e-3)
    np.testing.assert_allclose([float(v) for v in found[-1][10:16]], list(after.position)[:6])
    assert stack.call(ResetWorld, topics.RESET_WORLD, ResetWorld.Request(seed=9, direction="backward")).done
    assert stack.stop("sim_node") == 0
    assert rows(file)[-1][2] == "reset"


def test_arms_own_log_lacks_at_most_a_tenth_of_a_second_when_killed_in_real_time(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "arm.csv"
    arm = Real(stack, arm_log=str(file))
    arm.creep_to(HOME[0] + 0.1)
    stack.until(lambda: ",hold," in file.read_text(), what="a row of holding")
    stack.stop("sim_node", signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    found = rows(file)
    assert all(len(row) == 17 for row in found)
    assert killed_ns - int(found[-1][0]) < 300_000_000  # a tenth, and what the kill took on a busy machine
    assert {int(b[1]) - int(a[1]) for a, b in pairwise(found)} == {10_000_000}
    assert {row[2] for row in found} == {"setpoint", "hold"}


def test_pictures_come_with_their_camera_info_when_time_is_real(stack: Stack) -> None:
    stack.bring_up(MODULE, "sim_node", params(time="real", camera_names=("front", "wrist"), camera_rate_hz=10.0))
    for camera in ("front", "wrist"):
        image = stack.wait_for(topics.image(camera), Image, qos=CAMERA_QOS)
        info = stack.wait_for(topics.camera_info(camera), CameraInfo, qos=CAMERA_QOS)
        assert (image.height, image.width, image.encoding, len(image.data)) == (480, 640, "rgb8", 921_600)
        assert image.header.frame_id == info.header.frame_id == f"{camera}_optical"
        assert np.frombuffer(image.data, np.uint8).std() > 10
        assert info.k[0] == info.k[4] > 100
        assert info.k[2] == pytest.approx(319.5)


def test_start_is_refused_in_one_sentence_when_the_camera_is_unknown(stack: Stack) -> None:
    process = stack.start(MODULE, "sim_node", params(camera_names=("back",)))
    stack.transition("sim_node", 1, expect=False)
    assert process.wait(timeout=10) == 78
    assert "camera 'back': not in this scene; known: front, wrist" in stack.log("sim_node")
