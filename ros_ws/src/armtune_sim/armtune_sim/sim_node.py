"""The simulated arm and its cameras as a node: the topics of a real arm, in real time or in lockstep."""

from __future__ import annotations

import array
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory

from armtune_interfaces.msg import ControllerState, Truth
from armtune_interfaces.srv import InjectFault, ResetWorld
from armtune_policies.contract import DIRECTIONS, SteadyClock, topics
from armtune_safety import managed_node as ros
from armtune_safety.controller import Controller
from armtune_safety.following import SILENT_NS, path
from armtune_safety.managed_node import ManagedNode, to_ns, to_stamp
from armtune_safety.punctual import be_punctual
from armtune_safety.wire import message_of

from .arm import Arm, ticks_a_period
from .filming import Film, intrinsics
from .settings import SimNodeParams
from .world import TICK_NS, World

_REPEAT_S = 1.0
_TRUTH_TICKS = 20


class SimNode(ManagedNode):
    """Real time: 100 ticks a second, frames on a thread. Lockstep: one period per answered barrier."""

    Params = SimNodeParams
    params: SimNodeParams
    _film: Film | None = None
    _is_active = _said_holding = False

    def set_up(self) -> None:
        p = self.params
        self._lockstep = p.time == "lockstep"
        self._period_ticks = ticks_a_period(p.rate_hz) if self._lockstep else 1
        self._world = World(Path(p.mjcf), p.task.name, p.sim)
        self._world.reset(p.seed, "forward")
        self._size_px = (p.camera_height_px, p.camera_width_px)
        for camera in p.camera_names:
            self._world.render(camera, *self._size_px)  # what cannot be drawn is refused here
        self._world.close()  # the context belongs to the thread that draws
        self._arm = Arm(self._world, p.robot, None if self._lockstep else SteadyClock(), p.arm_log)
        self._wire()

    def _wire(self) -> None:
        p, make = self.params, self.create_publisher
        sensor_qos = ros.COMMAND_QOS if self._lockstep else ros.CAMERA_QOS
        self._joints_pub = make(JointState, topics.JOINT_STATES, ros.COMMAND_QOS)
        self._truth_pub = make(Truth, topics.TRUTH, ros.EVENT_QOS)
        self._state_pub = make(ControllerState, topics.CONTROLLER_STATE, ros.LATCHED_QOS)
        self._clock_pub: Any = make(ClockMessage, topics.CLOCK, ros.COMMAND_QOS) if self._lockstep else None
        self._image_pubs = {c: make(Image, topics.image(c), sensor_qos) for c in p.camera_names}
        self._info_pubs = {c: make(CameraInfo, topics.camera_info(c), sensor_qos) for c in p.camera_names}
        self.create_subscription(JointTrajectory, topics.SETPOINT, self._on_setpoint, ros.COMMAND_QOS)
        self.create_service(ResetWorld, topics.RESET_WORLD, self._on_reset)
        if p.sim.faults:
            self.create_service(InjectFault, topics.INJECT_FAULT, self._on_fault)
        period_s = _REPEAT_S if self._lockstep else TICK_NS / 1e9
        work = self._publish_step if self._lockstep else self._on_timer
        self._timer = self.create_timer(period_s, work, autostart=False)

    def start(self) -> None:
        p, self._is_active = self.params, True
        self._arm.start()
        self._publish_state()
        if self._lockstep:
            self._publish_step()
        else:
            self.report(nice=be_punctual())  # a real arm's controller has a computer of its own
            made = (p.camera_names, p.camera_rate_hz, self._size_px, self._wall_ns, self._publish_frame)
            self._film = Film(self._world, self._arm.moment, *made)
        self._timer.reset()

    def stop(self) -> None:
        self._is_active = False
        if hasattr(self, "_timer"):
            self._timer.cancel()
        if self._film:
            self._film.stop()

    def tear_down(self) -> None:
        self.stop()
        if hasattr(self, "_arm"):
            self._arm.close()

    # -- in --------------------------------------------------------------------------

    def _on_setpoint(self, m: JointTrajectory) -> None:
        if not self._is_active or (self._lockstep and to_ns(m.header.stamp) != self._arm.now_ns):
            return  # in lockstep: the answer to another barrier than the open one
        count, positions = self._period_ticks if self._lockstep else None, [point.positions for point in m.points]
        try:
            points = path(self.params.robot, m.joint_names, positions, count)
            if not self._lockstep:
                self._arm.hear(points[0])
        except ValueError as why:
            self.get_logger().warning(f"refused: {why}", throttle_duration_sec=1.0)
            return
        if self._lockstep:
            if held := self._arm.play(points):
                self.get_logger().warning(f"refused, so it holds for a period: {held}", throttle_duration_sec=1.0)
            self._timer.reset()
            self._publish_step()

    def _on_reset(self, request: ResetWorld.Request, answer: ResetWorld.Response) -> ResetWorld.Response:
        if request.direction not in (*DIRECTIONS, ""):
            answer.reason = f"direction: expected forward or backward, or blank; got {request.direction!r}"
            return answer
        self._arm.reset(request.seed, request.direction or None, self._period_ticks * TICK_NS)
        answer.done = True
        if self._is_active and self._lockstep:
            self._publish_step()
        return answer

    def _on_fault(self, request: InjectFault.Request, answer: InjectFault.Response) -> InjectFault.Response:
        answer.reason = self._arm.inject(request.name, request.on, request.value)
        answer.done = not answer.reason
        return answer

    # -- the two paces -----------------------------------------------------------------

    def _on_timer(self) -> None:
        """Real time: the ticks that are due."""
        before = self._arm.ticks
        if self._arm.catch_up() and self._arm.ticks // _TRUTH_TICKS > before // _TRUTH_TICKS:
            self._publish_truth(self._wall_ns())
        self._publish_joints(self._wall_ns())
        if self._film is not None and self._film.error:
            self.fail(f"{self.get_name()}: {self._film.error}")

    def _publish_step(self) -> None:
        """Lockstep: open the barrier of now, or open it again for those who came late."""
        stamp_ns = self._arm.now_ns
        self._clock_pub.publish(ClockMessage(clock=to_stamp(stamp_ns)))
        for camera in self.params.camera_names:
            self._publish_frame(camera, self._world.render(camera, *self._size_px), stamp_ns)
        self._publish_truth(stamp_ns)
        self._publish_joints(stamp_ns)

    def _wall_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    # -- out ---------------------------------------------------------------------------

    def _publish_joints(self, stamp_ns: int) -> None:
        robot, joints, speeds = self.params.robot, self._world.joints_measured(), self._world.velocities_measured()
        joints[-1] = robot.finger_m(joints[-1])
        speeds[-1] *= robot.gripper_open_m - robot.gripper_closed_m
        m = JointState(name=[*robot.joints, robot.finger_joint], position=joints.tolist(), velocity=speeds.tolist())
        m.header.stamp, m.header.frame_id = to_stamp(stamp_ns), robot.base_frame
        self._joints_pub.publish(m)
        if self._said_holding != self._arm.follower.holds:
            self._publish_state()
        self.report("holding: no setpoints" if self._said_holding else "", **self._arm.facts())
        self.did_work()

    def _publish_state(self) -> None:
        """What this controller says of itself: exactly what ``Follower`` enforces."""
        self._said_holding = self._arm.follower.holds
        says = Controller.enforcing(self.params.robot, SILENT_NS / 1e9, self._boot_id, self.get_name())
        more = {"is_simulated": True, "is_holding": self._said_holding, "stamp": self.get_clock().now().to_msg()}
        self._state_pub.publish(message_of(ControllerState, says, **more))

    def _publish_frame(self, camera: str, frame: NDArray[np.uint8], stamp_ns: int) -> None:
        height, width = frame.shape[:2]
        image = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        image.data = array.array("B", frame.tobytes())
        pinhole = intrinsics(self._world.focal_px(camera, height), height, width)
        info = CameraInfo(height=height, width=width, distortion_model="plumb_bob", d=[0.0] * 5, **pinhole)
        for m in (image, info):
            m.header.stamp, m.header.frame_id = to_stamp(stamp_ns), f"{camera}_optical"
        self._image_pubs[camera].publish(image)
        self._info_pubs[camera].publish(info)

    def _publish_truth(self, stamp_ns: int) -> None:
        truth = self._world.truth()
        m = Truth(world_seed=truth.seed, forward_success=truth.forward, backward_success=truth.backward)
        m.stamp, m.names = to_stamp(stamp_ns), list(truth.poses)
        for x, y, z, *q in (pose.tolist() for pose in truth.poses.values()):
            m.poses.append(Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3])))
        self._truth_pub.publish(m)


def main() -> None:
    ros.run(lambda: SimNode("sim_node"))


if __name__ == "__main__":
    main()
