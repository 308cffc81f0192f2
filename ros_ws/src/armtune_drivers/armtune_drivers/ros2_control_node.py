"""An arm behind ros2_control as a node: the topics of the simulated one; its limits read back, its silence ours.

Jazzy's controller manager enforces no command limits unless told, and its position controllers have no timeout that
is safe by default (docs/safety.md). So the first is asked for and read back, the second is this node's: when the gate
falls silent it holds the arm where it is. If this node dies, a position controller keeps the last command.
"""

from __future__ import annotations

import secrets

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_interfaces.msg import ControllerState
from armtune_policies.contract import SteadyClock, topics
from armtune_safety.controller import Controller
from armtune_safety.following import SILENT_NS
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, EVENT_QOS, LATCHED_QOS, ManagedNode, run
from armtune_safety.wire import message_of

from .arms.remote import ACTIVITY, Remote, asleep
from .arms.urdf import Limit, limits_of
from .settings import ArmNodeParams

ENFORCE = "enforce_command_limits"
_ASK_S = 1.0


class Ros2ControlNode(ManagedNode):
    """Passes setpoints on to one controller and joint states back; fit only while all is read back."""

    Params = ArmNodeParams
    params: ArmNodeParams

    def set_up(self) -> None:
        robot, arm, make = self.params.robot, self.params.arm, self.create_subscription
        self._names, self._steady = [*robot.joints, robot.finger_joint], SteadyClock()
        self._remote, self._refused = Remote(robot, lambda: secrets.randbits(63)), 0
        self._limits: tuple[Limit, ...] = ()
        self._asked: Future | None = None
        self._said: tuple[Controller, bool] | None = None
        kind = JointTrajectory if arm.takes == "joint_trajectory" else Float64MultiArray
        self._topic = topics.controller(arm.controller, arm.takes)
        self._command_pub = self.create_publisher(kind, self._topic, COMMAND_QOS)
        self._joints_pub = self.create_publisher(JointState, topics.JOINT_STATES, COMMAND_QOS)
        self._state_pub = self.create_publisher(ControllerState, topics.CONTROLLER_STATE, LATCHED_QOS)
        make(JointState, topics.ROS2_JOINT_STATES, self._on_joints, CAMERA_QOS)
        make(String, topics.ROBOT_DESCRIPTION, self._on_description, LATCHED_QOS)
        make(JointTrajectory, topics.SETPOINT, self._on_setpoint, COMMAND_QOS)
        make(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, EVENT_QOS)
        self._manager = self.create_client(GetParameters, topics.MANAGER_PARAMETERS)
        self._tick_timer = self.create_timer(1.0 / arm.rate_hz, self._tick, autostart=False)
        self._ask_timer = self.create_timer(_ASK_S, self._ask, autostart=False)

    def start(self) -> None:
        self._remote.forget(self._steady.now_ns())
        self._say()
        self._tick_timer.reset()
        self._ask_timer.reset()
        self._ask()

    def stop(self) -> None:
        if hasattr(self, "_tick_timer"):
            self._tick_timer.cancel()
            self._ask_timer.cancel()

    # -- what is read back -----------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask the manager whether it enforces limits; look who else commands the controller."""
        listeners, speakers = self.count_subscribers(self._topic), self.count_publishers(self._topic)
        self._note("controller", "" if listeners else f"nobody takes commands on {self._topic}; is it active?")
        self._note("others", "" if speakers <= 1 else f"{speakers - 1} others command {self._topic}; stop them")
        if not self._manager.service_is_ready():
            self._note("manager", f"{topics.MANAGER_PARAMETERS} is not there; is the controller manager up?")
            return
        if self._asked is not None and not self._asked.done():
            self._manager.remove_pending_request(self._asked)
        self._asked = self._manager.call_async(GetParameters.Request(names=[ENFORCE]))
        self._asked.add_done_callback(self._on_manager)

    def _on_manager(self, answer: Future) -> None:
        values = answer.result().values if answer.exception() is None else []
        is_on = bool(values) and values[0].type == ParameterType.PARAMETER_BOOL and values[0].bool_value
        self._note(
            "manager", "" if is_on else f"the controller manager has {ENFORCE} off; start it with {ENFORCE}: true"
        )

    def _on_diagnostics(self, m: DiagnosticArray) -> None:
        for status in m.status:
            if status.name.endswith(ACTIVITY):
                said = {value.key: value.value for value in status.values}
                if (wrong := asleep(self.params.arm.controller, said)) is not None:
                    self._note("activity", wrong)

    def _on_description(self, m: String) -> None:
        try:
            self._limits = limits_of(m.data, self._names)
            self._note("limits", "")
        except ValueError as why:
            self._note("limits", str(why))

    def _note(self, what: str, wrong: str) -> None:
        self._remote.note(what, wrong, self._steady.now_ns())
        self._say()

    def _say(self) -> None:
        """Publish what the controller enforces and what ails it, if that changed."""
        fault, holds = self._remote.fault(self._steady.now_ns()), self._remote.holds
        lows, highs, speeds = zip(*self._limits) if self._limits else ((), (), ())
        boot_id, names = self._remote.boot_id, tuple(self._names)
        said = Controller(boot_id, "ros2_control", names, lows, highs, speeds, SILENT_NS / 1e9, fault)
        if self._said == (said, holds):
            return
        self._said = (said, holds)
        m = message_of(ControllerState, said, is_simulated=False, is_holding=holds)
        m.stamp = self.get_clock().now().to_msg()
        self._state_pub.publish(m)

    # -- setpoints down, joints up ---------------------------------------------------------------

    def _on_setpoint(self, m: JointTrajectory) -> None:
        try:
            self._remote.hear(m.joint_names, [point.positions for point in m.points], self._steady.now_ns())
        except ValueError as why:
            self._refused += 1
            self.get_logger().warning(f"refused: {why}", throttle_duration_sec=1.0)

    def _on_joints(self, m: JointState) -> None:
        by_name = dict(zip(m.name, m.position))
        if not all(name in by_name for name in self._names):
            return
        positions = [by_name[name] for name in self._names]
        try:
            self._remote.see(positions, self._steady.now_ns())
        except ValueError as why:  # not passed on either: who waits for joint states notices
            self.get_logger().warning(f"refused: {why}", throttle_duration_sec=1.0)
            return
        ours = JointState(name=self._names, position=positions)
        ours.header.stamp, ours.header.frame_id = m.header.stamp, self.params.robot.base_frame
        self._joints_pub.publish(ours)
        self.did_work()

    def _tick(self) -> None:
        """Nothing is sent before the first setpoint; afterwards silence is a command to stay."""
        now_ns = self._steady.now_ns()
        fault = self._remote.fault(now_ns)
        self.report(fault, level=DiagnosticStatus.ERROR if fault else DiagnosticStatus.OK, refused=self._refused)
        goal = self._remote.next(now_ns)
        self._say()
        if goal is None:
            return
        positions = [*goal[:-1].tolist(), self.params.robot.finger_m(float(goal[-1]))]
        if self.params.arm.takes == "commands":
            self._command_pub.publish(Float64MultiArray(data=positions))
            return
        soon = Duration(nanosec=round(2e9 / self.params.arm.rate_hz))
        points = [JointTrajectoryPoint(positions=positions, time_from_start=soon)]
        self._command_pub.publish(JointTrajectory(joint_names=self._names, points=points))


def main() -> None:
    run(lambda: Ros2ControlNode("ros2_control_node"))


if __name__ == "__main__":
    main()
