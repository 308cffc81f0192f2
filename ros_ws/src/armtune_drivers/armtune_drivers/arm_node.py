"""A real arm as a node: the topics of the simulated one, whatever bus its motors are on."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from armtune_interfaces.msg import ControllerState
from armtune_policies.contract import ConfigError, SteadyClock, topics
from armtune_safety.controller import Controller
from armtune_safety.managed_node import COMMAND_QOS, LATCHED_QOS, ManagedNode, run
from armtune_safety.punctual import be_punctual
from armtune_safety.wire import message_of

from .arms.base import ArmFault, Backoff, Reading
from .arms.loop import ArmLoop, make_adapter
from .settings import ArmNodeParams


class ArmNode(ManagedNode):
    """Steps one arm on a thread of its own; the bus may block for an answer's time."""

    Params = ArmNodeParams
    params: ArmNodeParams

    def set_up(self) -> None:
        p = self.params
        nice = be_punctual()  # so that the threads that a maker's driver starts are, too
        self._loop = ArmLoop(make_adapter(p.robot, p.arm), p.robot, SteadyClock())
        try:
            self._loop.open()
        except ArmFault as why:
            raise ConfigError(str(why)) from None
        self._names = [*p.robot.joints, p.robot.finger_joint]
        self._said: Controller | None = None
        self._quit, self._missed = threading.Event(), 0
        self._joints_pub = self.create_publisher(JointState, topics.JOINT_STATES, COMMAND_QOS)
        self._state_pub = self.create_publisher(ControllerState, topics.CONTROLLER_STATE, LATCHED_QOS)
        self.create_subscription(JointTrajectory, topics.SETPOINT, self._on_setpoint, COMMAND_QOS)
        self.report(nice=nice)

    def start(self) -> None:
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._drive, args=(self._quit,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent: the motors' own watchdog holds the arm, with its torque on."""
        if hasattr(self, "_thread"):
            self._quit.set()
            self._thread.join(timeout=5.0)

    def tear_down(self) -> None:
        self.stop()
        if hasattr(self, "_loop"):
            self._loop.fail()

    def _on_setpoint(self, m: JointTrajectory) -> None:
        try:
            self._loop.hear(m.joint_names, [point.positions for point in m.points])
        except ValueError as why:
            self.get_logger().warning(f"refused: {why}", throttle_duration_sec=1.0)

    # -- the arm's thread --------------------------------------------------------------------

    def _drive(self, quit_: threading.Event) -> None:
        """Hold and follow until told to stop; a fault ends neither this thread nor the graph's record of it."""
        is_open, backoff = True, Backoff()
        while not quit_.is_set():
            began_s: float | None = None
            try:
                if not is_open:
                    self._loop.open()
                began_s = time.monotonic()
                self._say(self._loop.engage(secrets.randbits(63)))  # another controller each time: to be armed anew
                is_open = True
                self._follow(quit_)
            except ArmFault as why:
                wait_s = backoff.wait_s(None if began_s is None else time.monotonic() - began_s)
                self._lose(str(why), wait_s)  # first: a maker's driver may take its time to end
                self._loop.fail()
                is_open = False
                quit_.wait(timeout=wait_s)
            except Exception as why:  # a thread that dies silently would look like a healthy node
                self.fail(f"{self.get_name()}: unexpected {type(why).__name__}: {why}")
                return

    def _follow(self, quit_: threading.Event) -> None:
        period_s, due_s = 1.0 / self.params.arm.rate_hz, time.monotonic()
        while not quit_.is_set():
            reading = self._loop.step()
            if reading is None:
                self._missed += 1
            else:
                self._publish(reading)
            self.did_work()
            due_s = max(due_s + period_s, time.monotonic() - period_s)
            quit_.wait(timeout=max(0.0, due_s - time.monotonic()))

    def _publish(self, reading: Reading) -> None:
        positions = [*reading.position[:-1].tolist(), self.params.robot.finger_m(float(reading.position[-1]))]
        m = JointState(name=self._names, position=positions)
        m.header.stamp, m.header.frame_id = self.get_clock().now().to_msg(), self.params.robot.base_frame
        self._joints_pub.publish(m)
        if self._said is not None and self._has_changed(reading):
            self._say(replace(self._said, warning=reading.warning))
        level = DiagnosticStatus.WARN if reading.warning else DiagnosticStatus.OK
        text = reading.warning or ("holding: no setpoints" if self._loop.holds else "")
        self.report(text, level=level, refused=self._loop.refused, missed_reads=self._missed, **reading.facts)

    # -- what it says of itself ------------------------------------------------------------------

    def _has_changed(self, reading: Reading) -> bool:
        """Whether it began or ceased to hold, or to be strained; a degree more is for diagnostics."""
        was_strained = self._said is not None and bool(self._said.warning)
        return self._is_holding != self._loop.holds or was_strained != bool(reading.warning)

    def _say(self, said: Controller) -> None:
        self._said, self._is_holding = said, self._loop.holds
        m = message_of(ControllerState, said, is_simulated=False, is_holding=self._is_holding)
        m.stamp = self.get_clock().now().to_msg()
        self._state_pub.publish(m)

    def _lose(self, why: str, wait_s: float) -> None:
        """Say at once what is wrong: the gate stops by it, before the joint states are too old."""
        self.no_work()
        before = self._said or Controller.nothing(self.get_name())
        self._say(replace(before, fault=why))
        self.report(why, level=DiagnosticStatus.ERROR)
        if why != before.fault:
            self.get_logger().error(f"{why}; looking again in {wait_s:g} s")


def main() -> None:
    run(lambda: ArmNode("arm_node"))


if __name__ == "__main__":
    main()
