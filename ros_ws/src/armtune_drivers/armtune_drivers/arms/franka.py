"""Franka Research 3 through franky, over the maker's libfranka: a controller that wants a torque every millisecond.

franky's own 1 kHz loop pulls the joints to the newest setpoint, by springs and dampers; what we send is the setpoint.
(It also has position motions, to be replaced while they run. Sent at 100 Hz and with packets lost they ran away from
their goals on the simulated robot; the springs did not.) Limits of position and speed are the robot's own: it stops by
itself at them, and twenty packets lost in a row stop it, too. They are read out of the description that it serves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from armtune_drivers.settings import ArmParams
from armtune_safety.controller import Controller
from armtune_safety.following import SILENT_NS
from armtune_safety.settings import RobotParams

from .base import ArmFault, Array, Freshness, Reading
from .franka_hand import FINGER_M_S, FORCE_N, Hand
from .urdf import limits_of

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
STIFFNESS_NM_RAD = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0)
DAMPING_NMS_RAD = (50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0)
"""Gains of libfranka 0.21.2, examples/joint_impedance_control.cpp."""
_POOR = 0.9
"""Of the last hundred commands the robot should have got more than this; with fewer it stutters."""
_REALTIME = Path("/sys/kernel/realtime")
_STOP_S, _STEP_S = 2.0, 0.005


class Franka:
    """The adapter; see ``base.Adapter``. The gripper is the Franka Hand's one finger, its place in metres."""

    def __init__(self, robot: RobotParams, arm: ArmParams) -> None:
        self._robot, self._arm = robot, arm
        self._may_clear = arm.may_go_limp
        self._driver: Any = None
        self._hand: Any = None
        self._motion: Any = None
        silent_s = (arm.lost_in_a_row + 1) * (1.0 / arm.rate_hz + arm.reply_s)
        self._freshness = Freshness(f"{arm.port}: the robot", silent_s)

    def _asked(self, work: Callable[[], T], mend: str = "is the arm on, FCI active, and this its address?") -> T:
        """Do it; what franky raises is a fault, in its first sentence."""
        try:
            return work()
        except _raised() as why:
            said = str(why).strip().splitlines()[0]
            mend = _CLEAR if type(why).__name__ == "ControlException" else mend
            raise ArmFault(f"{self._arm.port}: {said}; {mend}") from None

    def open(self) -> None:
        """See ``base.Adapter``; the robot's own controller holds it."""
        import franky

        self.close()
        is_punctual = _REALTIME.exists()
        if not is_punctual:
            _LOG.warning("no real-time kernel: commands will be late now and then, and twenty in a row stop the arm")
        kind = franky.RealtimeConfig.Enforce if is_punctual else franky.RealtimeConfig.Ignore
        may_clear, self._may_clear = self._may_clear, False  # a person looks on at the start only
        # kept by this object alone: who drops the last reference to it hangs up, and the robot takes one caller
        self._driver = self._asked(lambda: franky.Robot(self._arm.port, realtime_config=kind))
        if may_clear and self._asked(lambda: self._driver.has_errors):
            self._asked(lambda: self._driver.recover_from_errors())
        has_errors, state = self._asked(lambda: (self._driver.has_errors, self._driver.state))
        if has_errors:
            raise ArmFault(f"{self._arm.port}: the robot says {state.current_errors}; {_CLEAR}")
        if (mode := state.robot_mode) != franky.RobotMode.Idle:
            raise ArmFault(f"{self._arm.port}: expected the robot idle, got {mode.name}; release its stop, see Desk")
        width_m = 2.0 * abs(self._robot.gripper_open_m - self._robot.gripper_closed_m)
        force_n = self._arm.grip_effort * FORCE_N
        self._hand = self._asked(lambda: Hand(franky.Gripper(self._arm.port), width_m, force_n))

    def engage(self) -> Array:
        """See ``base.Adapter``."""
        import franky

        def hold() -> Array:
            here = np.array(self._driver.state.q)
            self._motion = franky.JointImpedanceTrackingMotion(
                stiffness=np.array(STIFFNESS_NM_RAD), damping=np.array(DAMPING_NMS_RAD)
            )
            self._motion.set_reference(franky.JointReference(q=here))
            self._driver.move(self._motion, asynchronous=True)
            end_s = time.monotonic() + _STOP_S
            while self._driver.state.robot_mode != franky.RobotMode.Move and self._driver.is_in_control:
                if time.monotonic() > end_s:
                    raise ArmFault(f"{self._arm.port}: the robot gave no hold in {_STOP_S:g} s; {_CLEAR}")
                time.sleep(_STEP_S)
            self._freshness.start(time.monotonic())
            return self._placed(here)

        return self._asked(hold)

    def enforces(self, boot_id: int) -> Controller:
        """See ``base.Adapter``; the limits are read out of what the robot serves."""
        urdf = self._asked(lambda: str(self._driver.model_urdf))
        names = [name if f'"{name}"' in urdf else name.rpartition("_")[2] for name in self._robot.joints]
        limits = self._asked(lambda: limits_of(urdf, names), "is this a Franka Research 3?")
        fingers = sorted((self._robot.gripper_closed_m, self._robot.gripper_open_m))
        lows, highs, speeds = zip(*limits, (*fingers, FINGER_M_S))  # the hand is told no wider, and no faster
        joints = (*self._robot.joints, self._robot.finger_joint)
        return Controller(boot_id, "franka", joints, lows, highs, speeds, SILENT_NS / 1e9)

    def write(self, setpoint: Array) -> None:
        """See ``base.Adapter``."""
        import franky

        if not np.isfinite(setpoint).all():
            raise ArmFault(f"{self._arm.port}: expected a finite setpoint, got {setpoint}")
        self._asked(lambda: self._motion.set_reference(franky.JointReference(q=setpoint[:-1])))
        self._hand.follow(float(np.clip(setpoint[-1], 0.0, 1.0)))

    def read(self) -> Reading | None:
        """See ``base.Adapter``; what was given before is not given again.

        Raises:
            ArmFault: also when the robot ended the motion, or nothing new came for as long as servos may be silent.
        """
        if not self._asked(lambda: self._driver.is_in_control):
            self._asked(lambda: self._driver.join_motion(0.0))  # says why, if it was for a reason
            raise ArmFault(f"{self._arm.port}: the robot is no longer under our control; {_CLEAR}")
        state = self._asked(lambda: self._driver.state)
        if not self._freshness.is_new(state.time.to_msec(), time.monotonic()):
            return None
        arrived = float(state.control_command_success_rate)
        efforts = ", ".join(f"{name} {nm:.1f}" for name, nm in zip(self._robot.joints, state.tau_J))
        facts = {"effort_nm": efforts, "commands_arrived": f"{arrived:.2f}"}
        poor = f"{arrived:.0%} of commands arrive in time; look at the kernel, and the cable to the robot"
        return Reading(self._placed(state.q), facts, "" if arrived > _POOR else poor)

    def _placed(self, q_rad: Any) -> Array:
        return np.array([*q_rad, self._hand.opening])

    def close(self) -> None:
        """See ``base.Adapter``; a robot that is let go holds itself. One that does not answer is left as it is."""
        import franky

        driver, self._driver = self._driver, None
        hand, self._hand = self._hand, None
        self._motion = None
        if hand is not None:
            hand.close()
        try:
            if driver is not None and driver.is_in_control:
                driver.move(franky.TorqueStopMotion(), asynchronous=True)
                driver.join_motion(_STOP_S)
        except _raised() as why:
            _LOG.warning("the robot was not let go in good order: %s", str(why).strip().splitlines()[0])


def _raised() -> tuple[type[Exception], ...]:
    """What franky raises; those of the maker's library have no base in common."""
    import franky

    names = ("Command", "Control", "IncompatibleVersion", "Model", "Network", "Protocol", "Realtime")
    own = (franky.Exception, *(getattr(franky, f"{name}Exception") for name in names))
    return (*own, RuntimeError, ValueError)


_CLEAR = "mend the cause, then clear it in Desk, or start once with arm.may_go_limp=true, which clears it"
