"""Trossen WidowX AI through the maker's own driver, ``trossen_arm``: a controller on the network, not a servo bus.

The controller's joint limits are narrowed to the robot's where they are wider, and read back. Its own reaction to a
driver that falls silent is not documented; the silence of the gate is noticed by our loop, which then holds. The other
way round the driver says nothing: it goes on giving the last output, whose number then no longer rises.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from armtune_drivers.settings import ArmParams
from armtune_safety.controller import Controller
from armtune_safety.following import SILENT_NS
from armtune_safety.settings import RobotParams

from .base import ArmFault, Array, Freshness, Reading

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_CONNECT_S = 5.0
_GRIP_N = 400.0
"""The gripper's effort limit in the URDF of the maker's driver, 1.11; ``arm.grip_effort`` is part of that."""
_REPORTED = "Error occurred: "
"""How the driver begins what its controller says of the arm; what is wrong on the way to it begins otherwise."""


class Trossen:
    """The adapter; see ``base.Adapter``. The gripper is the last joint, its place in metres."""

    def __init__(self, robot: RobotParams, arm: ArmParams) -> None:
        self._robot, self._arm = robot, arm
        self._may_go_limp = arm.may_go_limp
        self._driver: Any = None
        silent_s = (arm.lost_in_a_row + 1) * (1.0 / arm.rate_hz + arm.reply_s)
        self._freshness = Freshness(f"{arm.port}: the controller", silent_s)

    def _asked(self, work: Callable[[], T]) -> T:
        """Do it; what the driver raises is a fault, in its first sentence."""
        import trossen_arm

        try:
            return work()
        except (trossen_arm.RuntimeError, trossen_arm.LogicError, RuntimeError) as why:
            said = str(why).strip().splitlines()[0]
            mend = "is the arm on, and this its address?"
            if said.startswith(_REPORTED):
                mend = "hold the arm, mend the cause, then start once with arm.may_go_limp=true, which clears it"
            raise ArmFault(f"{self._arm.port}: {said}; {mend}") from None

    def open(self) -> None:
        """See ``base.Adapter``; the joints stay braked."""
        import trossen_arm as maker

        self.close()
        self._driver = driver = maker.TrossenArmDriver()
        model, hand = maker.Model.wxai_v0, maker.StandardEndEffector.wxai_v0_follower
        may_go_limp, self._may_go_limp = self._may_go_limp, False  # a person holds the arm at the start only
        self._asked(lambda: driver.configure(model, hand, self._arm.port, may_go_limp, _CONNECT_S))
        if (count := driver.get_num_joints()) != self._robot.dof + 1:
            raise ArmFault(
                f"{self._arm.port}: expected {self._robot.dof + 1} joints, got {count}; is this the robot's arm?"
            )
        self._asked(self._narrow)

    def _narrow(self) -> None:
        wanted = Controller.enforcing(self._robot, SILENT_NS / 1e9)
        limits = self._driver.get_joint_limits()
        for limit, low, high, speed in zip(limits, wanted.position_low, wanted.position_high, wanted.velocity_limit):
            limit.position_min, limit.position_max = max(limit.position_min, low), min(limit.position_max, high)
            limit.velocity_max = min(limit.velocity_max, speed)
        limits[-1].effort_max = grip_n = min(limits[-1].effort_max, self._arm.grip_effort * _GRIP_N)
        self._driver.set_joint_limits(limits)
        if not (got_n := self._driver.get_joint_limits()[-1].effort_max) <= grip_n + 0.01:
            raise ArmFault(
                f"{self._arm.port}: the gripper's effort limit reads {got_n:g} N after {grip_n:g} N was written; "
                "update the controller's firmware, or raise arm.grip_effort"
            )

    def engage(self) -> Array:
        """See ``base.Adapter``."""
        import trossen_arm as maker

        def hold() -> Array:
            here = self._driver.get_all_positions()
            self._driver.set_all_modes(maker.Mode.position)
            self._driver.set_all_positions(here, 0.0, False)
            self._freshness.start(time.monotonic())
            return self._placed(here)

        return self._asked(hold)

    def enforces(self, boot_id: int) -> Controller:
        """See ``base.Adapter``; the limits are read back now."""
        limits = self._asked(lambda: self._driver.get_joint_limits())
        names = (*self._robot.joints, self._robot.finger_joint)
        lows, highs = tuple(one.position_min for one in limits), tuple(one.position_max for one in limits)
        return Controller(
            boot_id, "trossen", names, lows, highs, tuple(one.velocity_max for one in limits), SILENT_NS / 1e9
        )

    def write(self, setpoint: Array) -> None:
        """See ``base.Adapter``."""
        finger = self._robot.finger_m(float(np.clip(setpoint[-1], 0.0, 1.0)))
        self._asked(lambda: self._driver.set_all_positions([*setpoint[:-1].tolist(), finger], 0.0, False))

    def read(self) -> Reading | None:
        """See ``base.Adapter``; what was given before is not given again.

        Raises:
            ArmFault: also when nothing new came for as long as servos on a bus may be silent.
        """
        output = self._asked(lambda: self._driver.get_robot_output())
        if not self._freshness.is_new(output.header.id, time.monotonic()):
            return None
        joints = output.joint.all
        names = (*self._robot.joints, self._robot.finger_joint)

        def listed(values: Any) -> str:
            return ", ".join(f"{name} {value:.1f}" for name, value in zip(names, values))

        facts = {"temperature_c": listed(joints.rotor_temperatures), "effort_nm": listed(joints.efforts)}
        return Reading(self._placed(joints.positions), facts)

    def _placed(self, positions: Any) -> Array:
        here = np.array(list(positions))
        here[-1] = self._robot.opening(here[-1])
        return here

    def close(self) -> None:
        """See ``base.Adapter``; a driver that cannot end in good order is left as it is."""
        driver, self._driver = self._driver, None
        try:
            if driver is not None and driver.get_is_configured():
                self._asked(driver.cleanup)
        except ArmFault as why:
            _LOG.warning("the driver did not end in good order: %s", why)
