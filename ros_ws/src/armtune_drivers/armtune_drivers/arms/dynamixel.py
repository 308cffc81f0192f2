"""Dynamixel X servos on a protocol-2.0 bus: the WidowX 250 S and its family.

The bus watchdog holds each servo when the bus is silent; position limits are kept by the servo in position mode;
speed is capped by the profile. A watchdog that bit clears the profile (manual, Bus Watchdog(98)), so it is set anew
each time.
"""

from __future__ import annotations

import time

from . import dynamixel_table as t
from .base import ArmFault
from .servo_arm import Servo, ServoArm
from .wire import Layout, Prompt, Register, Wire

_LAYOUT = Layout(id=4, error=8, data=9, tail=2, timed_out=-3001, extra=(False,), alert=0x80)
_REBOOT_S = 2.0


class Dynamixel(ServoArm):
    """See ``ServoArm``."""

    name = "dynamixel"
    FULL_DRIVE, VELOCITY_RAD_S = t.FULL_PWM, t.VELOCITY_RAD_S
    MODEL, TORQUE, GOAL, PRESENT = t.MODEL, t.TORQUE, t.GOAL_POSITION, t.PRESENT
    LOW, HIGH, SPEED, HEAT_LIMIT = t.MIN_POSITION, t.MAX_POSITION, t.PROFILE_VELOCITY, t.TEMPERATURE_LIMIT
    WATCHDOG, WATCHDOG_UNIT_S = t.WATCHDOG, t.WATCHDOG_UNIT_S

    def _connect(self) -> Wire:
        import dynamixel_sdk as sdk

        class Port(Prompt, sdk.PortHandler):  # type: ignore[misc]
            pass

        a = self._arm
        return Wire(Port(a.port), sdk.PacketHandler(2.0), _LAYOUT, a.baud, a.reply_s)

    def _check(self, servo: Servo) -> None:
        """Its firmware has a watchdog, it turns the way it should, it is well."""
        if (firmware := self._bus.read(servo.number, t.FIRMWARE)) < t.WATCHDOG_FIRMWARE:
            raise ArmFault(
                f"{servo}: firmware {firmware} has no bus watchdog; update it to {t.WATCHDOG_FIRMWARE} or newer"
            )
        if (mode := self._bus.read(servo.number, t.DRIVE_MODE)) != int(servo.reverse):
            raise ArmFault(
                f"{servo}: expected Drive Mode(10) {int(servo.reverse)}, got {mode}: it might turn the other way; "
                "set it with the maker's tool, or arm.reverse"
            )
        if status := self._bus.read(servo.number, t.HARDWARE_ERROR):
            self._revive(servo, t.errors(status))

    def _revive(self, servo: Servo, error: str) -> None:
        """A servo that shut itself down has let go already; only a reboot ends that, and nobody but a person asks."""
        if not self._may_go_limp:
            raise ArmFault(
                f"{servo}: {error}; let it cool, hold the arm, then start once with arm.may_go_limp=true to reboot it"
            )
        self._bus.reboot(servo.number)
        end_s = time.monotonic() + _REBOOT_S
        while not self._bus.ping(servo.number) and time.monotonic() < end_s:
            time.sleep(0.05)
        if status := self._bus.read(servo.number, t.HARDWARE_ERROR):
            raise ArmFault(f"{servo}: {t.errors(status)} again after a reboot; find the cause before you go on")

    def _permanent(self, servo: Servo) -> list[tuple[Register, int]]:
        return [
            (t.OPERATING_MODE, t.POSITION_CONTROL),
            (t.RETURN_DELAY, 0),
            (t.SECONDARY_ID, t.UNSET_ID if servo.main == servo.number else servo.main),
            (t.SHUTDOWN, t.OVERLOAD_SHOCK_HEAT),
            (t.PWM_LIMIT, servo.drive),
            (t.VELOCITY_LIMIT, servo.velocity),
            (t.MAX_POSITION, servo.high),
            (t.MIN_POSITION, servo.low),
        ]

    def _passing(self, servo: Servo) -> list[tuple[Register, int]]:
        return [
            (t.STATUS_RETURN, t.ALL_STATUS),
            (t.GOAL_PWM, servo.drive),
            (t.PROFILE_ACCELERATION, 0),
            (t.PROFILE_VELOCITY, servo.velocity),
        ]

    def _present(self, data: bytes) -> tuple[int, int, int]:
        return t.present(data)

    def _ailment(self, servo: Servo, error: int) -> str:
        return t.errors(self._bus.read(servo.number, t.HARDWARE_ERROR)) if error & _LAYOUT.alert else ""

    def _unlocked(self, servo: Servo, is_open: bool) -> None:
        pass  # torque off is all the key there is

    def _effort(self, servo: Servo, raw: int) -> str:
        scale, unit = t.EFFORT.get(servo.model, (1.0, "raw"))
        return f"{raw * scale:.2f} {unit}"
