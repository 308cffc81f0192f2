"""A real arm's node over DDS, an emulated WidowX on its bus: rates, silence, faults, death."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces.msg import ControllerState
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, EXIT_CONFIG, LATCHED_QOS, to_ns
from fixtures.arms import params
from fixtures.dynamixel_servos import wx250s
from fixtures.servo_bus import ServoBus
from harness import Stack

pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed: constraints/robot.txt")
NODE = "armtune_drivers.arm_node"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ServoBus]:
    with ServoBus("dynamixel", tmp_path, wx250s()) as running:
        running.be_patient(20.0)
        yield running


class Driven:
    """The other end of the setpoint topic."""

    def __init__(self, stack: Stack, bus: ServoBus) -> None:
        told = params("wx250s", bus.path)
        self.stack, self.bus, self.robot = stack, bus, told.robot
        self.joints = stack.listen(topics.JOINT_STATES, JointState, CAMERA_QOS)
        self.states = stack.listen(topics.CONTROLLER_STATE, ControllerState, LATCHED_QOS)
        stack.bring_up(NODE, "arm_node", told)
        self.setpoint = stack.publisher(topics.SETPOINT, JointTrajectory, COMMAND_QOS)
        stack.until(lambda: bool(self.joints), what="joint states")

    def creep(self, waist_rad: float, step_rad: float = 0.015) -> None:
        """Send setpoints, one a joint state, until the waist is there."""
        at, heard = self.joints[-1].position[0], len(self.joints)

        def there() -> bool:
            nonlocal at, heard
            if len(self.joints) > heard:
                heard = len(self.joints)
                at += max(-step_rad, min(step_rad, waist_rad - at))
                self.tell(at)
            return abs(self.joints[-1].position[0] - waist_rad) < 0.01

        self.stack.until(there, what=f"the waist at {waist_rad}")

    def tell(self, waist_rad: float) -> None:
        m = JointTrajectory(joint_names=[*self.robot.joints, self.robot.finger_joint])
        m.points = [JointTrajectoryPoint(positions=[waist_rad, *self.robot.home_rad[1:], self.robot.gripper_open_m])]
        self.setpoint.publish(m)

    def says(self, fits) -> ControllerState:
        return self.stack.wait_for(topics.CONTROLLER_STATE, ControllerState, fits, qos=LATCHED_QOS)


def test_joint_states_come_at_100_hz_and_setpoints_move_the_servos(stack: Stack, bus: ServoBus) -> None:
    arm = Driven(stack, bus)
    said = arm.says(lambda m: bool(m.boot_id))
    assert (list(said.joints), said.is_simulated, said.silence_s) == (list(arm.joints[-1].name), False, 0.1)
    arm.creep(0.3)
    arm.says(lambda m: not m.is_holding)
    assert bus.state()[1]["present_position"] == pytest.approx(2048 + 196, abs=8)
    heard = len(arm.joints)
    stack.until(lambda: len(arm.joints) >= heard + 200, what="two seconds of joint states")
    stamps = [to_ns(m.header.stamp) for m in arm.joints[heard : heard + 200]]
    assert stamps == sorted(set(stamps)) and np.median(np.diff(stamps)) / 1e9 == pytest.approx(0.01, rel=0.1)

    def shows(m: DiagnosticArray) -> bool:
        values = {v.key: v.value for status in m.status if "arm_node" in status.name for v in status.values}
        return "elbow shadow 32" in values.get("temperature_c", "") and "lost_answers" in values

    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, shows)
    assert stack.stop("arm_node") == 0
    assert all(servo["torque_enable"] for servo in bus.state().values())


def test_servos_stop_by_their_own_watchdog_when_the_driver_is_killed_in_motion(stack: Stack, bus: ServoBus) -> None:
    arm = Driven(stack, bus)
    arm.creep(0.2)
    arm.tell(0.22)
    bus.be_patient(1.0)
    stack.stop("arm_node", signal.SIGKILL)
    killed_s = time.monotonic()
    stack.until(lambda: all(s["bus_watchdog"] == -1 for s in bus.state().values()), what="the watchdogs")
    assert time.monotonic() - killed_s < 0.5
    assert all(servo["torque_enable"] == 1 for servo in bus.state().values())
    assert bus.state()[1]["present_position"] == pytest.approx(2048 + 0.21 / 0.001534, abs=15)


@pytest.mark.fault("F49")
def test_overload_is_said_with_its_joint_and_the_others_hold(stack: Stack, bus: ServoBus) -> None:
    arm = Driven(stack, bus)
    arm.creep(0.1)
    bus.set(2, "overload", True)
    said = arm.says(lambda m: bool(m.fault))
    assert "shoulder (id 2): overloaded; it has let go" in said.fault
    states = bus.state()
    assert states[1]["torque_enable"] == 1 and states[2]["torque_enable"] == 0
    stack.wait_for(topics.CONTROLLER_STATE, ControllerState, lambda m: "may_go_limp" in m.fault, qos=LATCHED_QOS)
    assert bus.state()[2]["hardware_error"] == 0x20, "nobody asked for a reboot"


@pytest.mark.fault("F49")
def test_strain_is_said_while_a_servo_is_warm_by_the_same_controller(stack: Stack, bus: ServoBus) -> None:
    arm = Driven(stack, bus)
    first = arm.says(lambda m: bool(m.boot_id))
    bus.set(9, "present_temperature", 60)
    warm = arm.says(lambda m: bool(m.warning))
    assert (warm.warning, warm.fault, warm.boot_id) == ("left_finger (id 9): 60 C", "", first.boot_id)
    heard = len(stack.listen(topics.CONTROLLER_STATE, ControllerState))
    bus.set(9, "present_temperature", 40)
    stack.wait_for(topics.CONTROLLER_STATE, ControllerState, lambda m: not m.warning, newer_than=heard)


def test_arm_is_back_as_another_controller_after_its_plug_was_out(stack: Stack, bus: ServoBus) -> None:
    arm = Driven(stack, bus)
    first = arm.says(lambda m: bool(m.boot_id))
    bus.unplug()
    assert "unplugged" in arm.says(lambda m: bool(m.fault)).fault
    heard = len(arm.joints)
    bus.plug()
    again = arm.says(lambda m: not m.fault and m.boot_id not in (0, first.boot_id))
    assert again.is_holding
    stack.until(lambda: len(arm.joints) > heard, what="joint states again")
    arm.creep(0.1)


def test_start_is_refused_in_one_sentence_when_a_servo_is_missing(stack: Stack, bus: ServoBus) -> None:
    bus.set(6, "missing", True)
    process = stack.start(NODE, "arm_node", params("wx250s", bus.path))
    stack.transition("arm_node", Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert "no answer from forearm_roll (id 6); check power, cables and arm.baud" in stack.log("arm_node")
