"""Damages what the nodes of a simulated graph hear, on the normal topics, when it is asked to.

A relay: the simulator and the policy publish on ``faulty/...``, this node passes it on. What is
whole goes on as the very bytes that came.
"""

from __future__ import annotations

import heapq
import itertools
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from armtune_interfaces.msg import ControllerState, Proposal
from armtune_interfaces.srv import InjectFault
from armtune_policies.contract import ConfigError, SteadyClock, topics
from armtune_safety import managed_node as ros
from armtune_safety.managed_node import ManagedNode
from armtune_safety.punctual import be_punctual

from . import faults
from .settings import FaultNodeParams

_LATE_S = 0.005
NOT_SIMULATED = "refused: the controller that moves this arm is not a simulated one"
UNKNOWN_ARM = "refused: no controller has said yet that the arm is simulated"


class FaultNode(ManagedNode):
    """Plumbing around ``Injector``; refuses to work beside anything but a simulated arm."""

    Params = FaultNodeParams
    params: FaultNodeParams

    def set_up(self) -> None:
        self._injector, self._steady = faults.Injector(), SteadyClock()
        self._is_active, self._is_simulated = False, None
        self._late: list[tuple[int, int, str, Any, Any]] = []
        self._counter = itertools.count()
        self._late_timer = self.create_timer(_LATE_S, self._send_late, autostart=False)
        self._arm_client = self.create_client(InjectFault, topics.faulty(topics.INJECT_FAULT))
        self._wire()

    def _wire(self) -> None:
        lockstep = self.params.time == "lockstep"
        sensor_qos = ros.COMMAND_QOS if lockstep else ros.CAMERA_QOS
        wires: list[tuple[str, str, type, Any]] = [
            (faults.JOINTS, topics.JOINT_STATES, JointState, ros.COMMAND_QOS),
            (faults.PROPOSAL, topics.proposal("policy"), Proposal, ros.COMMAND_QOS),
        ]
        if lockstep:
            wires.append((faults.CLOCK, topics.CLOCK, Clock, ros.COMMAND_QOS))
        for camera in self.params.camera_names:
            wires.append((faults.IMAGE, topics.image(camera), Image, sensor_qos))
            wires.append((faults.INFO, topics.camera_info(camera), CameraInfo, sensor_qos))
        for what, topic, kind, qos in wires:
            pub = self.create_publisher(kind, topic, qos)
            pass_on = partial(self._pass_on, what, topic, kind, pub)
            self.create_subscription(kind, topics.faulty(topic), pass_on, qos, raw=True)
        state = topics.CONTROLLER_STATE
        self.create_subscription(ControllerState, state, self._on_controller, ros.LATCHED_QOS)
        self.create_service(InjectFault, topics.INJECT_FAULT, self._on_inject)

    def start(self) -> None:
        self._is_active = True
        if self.params.time == "real":
            self.report(nice=be_punctual())  # it stands where there is only a wire on a robot

    def stop(self) -> None:
        self._is_active = False

    # -- the relay -----------------------------------------------------------------------

    def _pass_on(self, what: str, topic: str, kind: type, pub: Any, raw: bytes) -> None:
        if not self._is_active:
            return
        self.did_work()
        if not self._injector.touches(what):
            pub.publish(raw)
            return
        for later_s, message in self._injector.damage(what, topic, deserialize_message(raw, kind)):
            if later_s <= 0.0:
                pub.publish(message)
                continue
            due_ns = self._steady.now_ns() + round(later_s * 1e9)
            heapq.heappush(self._late, (due_ns, next(self._counter), what, pub, message))
            self._late_timer.reset()

    def _send_late(self) -> None:
        while self._late and self._late[0][0] <= self._steady.now_ns():
            *_, pub, message = heapq.heappop(self._late)
            pub.publish(message)
        if not self._late:
            self._late_timer.cancel()

    # -- what it is asked ------------------------------------------------------------------

    def _on_controller(self, m: ControllerState) -> None:
        self._is_simulated = m.is_simulated
        if not m.is_simulated:
            self.fail(f"{self.get_name()}: {NOT_SIMULATED}; start without sim.faults=true", ros.EXIT_CONFIG)

    def _on_inject(self, request: InjectFault.Request, answer: InjectFault.Response) -> InjectFault.Response:
        try:
            answer.reason = self._inject(request)
        except ConfigError as why:
            answer.reason = str(why)
        answer.done = not answer.reason
        return answer

    def _inject(self, r: InjectFault.Request) -> str:
        """Switch one fault; return "" or why not."""
        fault = faults.known(r.name)
        if not (self._is_active and self._is_simulated):
            return NOT_SIMULATED if self._is_simulated is False else UNKNOWN_ARM
        value = fault.value(r.name, r.value)
        if faults.ARM in fault.damages and (why := self._ask_arm(r.name, r.on, value)):
            return why
        self._injector.switch(r.name, r.on, r.value)
        # What a fault held back is gone with it: it would come older than anything that comes now.
        self._late = [late for late in self._late if self._injector.touches(late[2])]
        heapq.heapify(self._late)
        on = ", ".join(f"{name} ({value:g})" for name, value in self._injector.on.items())
        self.get_logger().warning(f"fault {r.name} {'on' if r.on else 'off'}; now: {on or 'none'}")
        self.report(f"injected: {on}" if on else "", level=DiagnosticStatus.WARN if on else DiagnosticStatus.OK)
        return ""

    def _ask_arm(self, name: str, on: bool, value: float) -> str:
        """Hand a fault on to the simulator; return "" or why not. A callback cannot wait for the answer."""
        if not self._arm_client.service_is_ready():
            return f"{name}: the simulated arm does not answer"
        future = self._arm_client.call_async(InjectFault.Request(name=name, on=on, value=value))
        future.add_done_callback(self._on_arm_answer)
        return ""

    def _on_arm_answer(self, future: Future) -> None:
        if reason := future.result().reason:
            self.fail(f"{self.get_name()}: {reason}")


def main() -> None:
    ros.run(lambda: FaultNode("fault_node"))


if __name__ == "__main__":
    main()
