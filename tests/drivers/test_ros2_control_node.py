"""The ros2_control adapter against a stand-in that speaks the topics of its controllers and manager."""

from __future__ import annotations

import threading

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from armtune_drivers.ros2_control_node import ENFORCE
from armtune_drivers.settings import ArmNodeParams
from armtune_interfaces.msg import ControllerState
from armtune_policies.contract import topics
from armtune_safety.controller import Controller
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, LATCHED_QOS
from armtune_safety.settings import SafetyParams
from armtune_safety.wire import value_of
from fixtures.arms import shipped
from harness import Stack

NODE, NAMESPACE = "armtune_drivers.ros2_control_node", "wx250s"
KINDS = {"joint_trajectory": JointTrajectory, "commands": Float64MultiArray}


def params(takes: str) -> ArmNodeParams:
    arm = {**shipped("arm", "ros2_control"), "takes": takes}
    return ArmNodeParams.from_mapping({"robot": shipped("robot", "wx250s"), "arm": arm})


def ours(topic: str) -> str:
    return f"{NAMESPACE}/{topic}"


class Manager:
    """A controller manager with one controller that is at once where it is told, and a joint state broadcaster."""

    def __init__(self, stack: Stack, takes: str, enforces: bool = True, wider: float = 0.0) -> None:
        self.stack, self.told, self.enforces = stack, params(takes), enforces
        robot, node = self.told.robot, stack.node
        self.names = [*robot.joints, robot.finger_joint]
        self.positions = [*robot.home_rad, robot.gripper_open_m]
        node.create_service(GetParameters, topics.MANAGER_PARAMETERS, self._answer)
        self.commands: list[list[float]] = []
        node.create_subscription(KINDS[takes], topics.controller("arm_controller", takes), self._take, 10)
        self._description = node.create_publisher(String, topics.ROBOT_DESCRIPTION, LATCHED_QOS)
        self._description.publish(String(data=self._urdf(wider)))
        self._joints = node.create_publisher(JointState, topics.ROS2_JOINT_STATES, 10)
        self._diagnostics = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, 10)
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._broadcast, daemon=True)

    def __enter__(self) -> Manager:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quit.set()
        self._thread.join(timeout=5.0)

    def _urdf(self, wider: float) -> str:
        fit = Controller.enforcing(self.told.robot, 0.1)
        rows = zip(self.names, fit.position_low, fit.position_high, fit.velocity_limit)
        joint = '<joint name="{}" type="revolute"><limit lower="{}" upper="{}" velocity="{}"/></joint>'
        joints = [joint.format(name, low - wider, high, speed) for name, low, high, speed in rows]
        return f"<robot name='arm'>{''.join(joints)}</robot>"

    def _answer(self, request: GetParameters.Request, answer: GetParameters.Response) -> GetParameters.Response:
        assert list(request.names) == ["enforce_command_limits"]
        answer.values = [ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=self.enforces)]
        return answer

    def _take(self, m: JointTrajectory | Float64MultiArray) -> None:
        self.positions = list(m.points[0].positions) if isinstance(m, JointTrajectory) else list(m.data)
        self.commands.append(self.positions)

    def _broadcast(self) -> None:
        while not self._quit.wait(timeout=0.01):
            m = JointState(name=["wheel", *self.names], position=[9.0, *self.positions])
            m.header.stamp = self.stack.node.get_clock().now().to_msg()
            self._joints.publish(m)

    def say_activity(self, **states: str) -> None:
        """The states of its controllers, as its diagnostics have them."""
        status = DiagnosticStatus(name="controller_manager: Controllers Activity", hardware_id="ros2_control")
        status.values = [KeyValue(key=key, value=state) for key, state in states.items()]
        self._diagnostics.publish(DiagnosticArray(status=[status]))

    def bring_up(self) -> None:
        """The adapter, in its robot's namespace as in every graph: its joint states are not the broadcaster's."""
        self.stack.start(NODE, "arm", self.told, remaps=[("__ns", f"/{NAMESPACE}")])
        for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            self.stack.transition(f"{NAMESPACE}/arm", step)

    def unfit(self, said: ControllerState) -> str:
        safety = SafetyParams.from_mapping(shipped("safety", "default"))
        return value_of(Controller, said).unfit(self.told.robot, safety)

    def says(self, fits) -> ControllerState:
        return self.stack.wait_for(ours(topics.CONTROLLER_STATE), ControllerState, fits, qos=LATCHED_QOS)


@pytest.mark.parametrize("takes", list(KINDS))
def test_setpoints_reach_the_controller_and_silence_holds_the_arm(stack: Stack, takes: str) -> None:
    joints = stack.listen(ours(topics.JOINT_STATES), JointState, CAMERA_QOS)
    with Manager(stack, takes) as manager:
        manager.bring_up()
        assert manager.unfit(manager.says(lambda m: not m.fault)) == ""
        stack.until(lambda: bool(joints), what="joint states")
        assert list(joints[-1].name) == manager.names, "what is not this arm's is left out"
        assert not manager.commands, "nothing is sent before a setpoint"

        setpoint = stack.publisher(ours(topics.SETPOINT), JointTrajectory, COMMAND_QOS)
        for i in range(1, 21):
            heard = len(joints)
            stack.until(lambda: len(joints) > heard, what="a joint state")  # noqa: B023
            m = JointTrajectory(joint_names=manager.names)
            m.points = [JointTrajectoryPoint(positions=[0.01 * i, *manager.told.robot.home_rad[1:], 0.037])]
            setpoint.publish(m)
        stack.until(lambda: abs(joints[-1].position[0] - 0.2) < 0.02, what="the waist there")
        manager.says(lambda m: m.is_holding and not m.fault)
        stack.until(
            lambda: abs(manager.commands[-1][0] - joints[-1].position[0]) < 1e-3, what="the arm where it is held"
        )
        assert joints[-1].position[0] == pytest.approx(0.2, abs=0.03)


def test_controller_is_unfit_while_the_manager_enforces_no_limits_or_wider_ones(stack: Stack) -> None:
    with Manager(stack, "commands", enforces=False, wider=0.5) as manager:
        manager.bring_up()
        said = manager.says(lambda m: "start it with enforce_command_limits: true" in m.fault)
        assert "enforce_command_limits off" in manager.unfit(said)
        manager.enforces = True
        said = manager.says(lambda m: bool(m.position_low) and not m.fault)
        assert "expected limits no wider than" in manager.unfit(said)


def test_controller_is_unfit_when_another_commands_it(stack: Stack) -> None:
    with Manager(stack, "commands") as manager:
        manager.bring_up()
        manager.says(lambda m: not m.fault)
        stack.publisher(topics.controller("arm_controller", "commands"), Float64MultiArray)
        assert "1 others command /arm_controller/commands" in manager.says(lambda m: "others" in m.fault).fault


def test_controller_is_unfit_while_the_manager_says_that_it_is_not_active(stack: Stack) -> None:
    with Manager(stack, "commands") as manager:
        manager.bring_up()
        manager.says(lambda m: not m.fault)
        manager.say_activity(joint_state_broadcaster="active", arm_controller="inactive")
        said = manager.says(lambda m: "arm_controller is inactive" in m.fault)
        assert "expected it active; switch it on" in manager.unfit(said)
        manager.say_activity(**{"other_controller.state": "active"})
        manager.enforces = False
        said = manager.says(lambda m: f"{ENFORCE} off" in m.fault)
        assert "arm_controller is inactive" in said.fault, "a message that does not name it is no word of it"
        manager.enforces = True
        manager.say_activity(**{"other_controller.state": "inactive", "arm_controller.state": "active"})
        manager.says(lambda m: not m.fault)
