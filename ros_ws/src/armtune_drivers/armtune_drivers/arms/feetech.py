"""Feetech STS servos: the SO-101 and its family.

These servos have no bus watchdog. What takes its place is that they are position servos: one that hears nothing
more goes on to its last goal, a hundredth of a second of motion away, and holds there; the silence of the gate is
noticed by our own loop. Registers: Feetech's "Magnetic encoder STS servo, memory table" (addresses in brackets).
"""

from __future__ import annotations

import math

from .base import ArmFault
from .servo_arm import Servo, ServoArm
from .wire import Layout, Prompt, Register, Wire

_LAYOUT = Layout(id=2, error=4, data=5, tail=1, timed_out=-6, extra=(), alert=0xFF)
RESPONSE = Register("Response Status Level", 8, 1)
MAX_TORQUE = Register("Maximum Torque", 16, 2)
PHASE = Register("Phase", 18, 1)
MODE = Register("Operating Mode", 33, 1)
ACCELERATION = Register("Acceleration", 41, 1)
TORQUE_LIMIT = Register("Torque Limit", 48, 2)
LOCK = Register("Lock", 55, 1)
STATUS = Register("Servo Status", 65, 1)
_FINE_SPEED = 0x04
"""Phase(18), bit 2: speeds count 0.0146 rev/min, one step a second; without it fifty times that."""
_ERRORS = {
    0x01: "input voltage out of range",
    0x02: "encoder failed",
    0x04: "overheated",
    0x08: "too much current",
    0x20: "overloaded",
}


class Feetech(ServoArm):
    """See ``ServoArm``."""

    name = "feetech"
    FULL_DRIVE, VELOCITY_RAD_S = 1000, 2.0 * math.pi / 4096
    MODEL, TORQUE, GOAL = Register("Model", 3, 2), Register("Torque Enable", 40, 1), Register("Goal Position", 42, 2)
    PRESENT = Register("Present Position to Current", 56, 15)
    LOW, HIGH = Register("Minimum Angle", 9, 2), Register("Maximum Angle", 11, 2)
    SPEED, HEAT_LIMIT = Register("Goal Speed", 46, 2), Register("Maximum Temperature", 13, 1)

    def _connect(self) -> Wire:
        import scservo_sdk as sdk

        class Port(Prompt, sdk.PortHandler):  # type: ignore[misc]
            pass

        a = self._arm
        return Wire(Port(a.port), sdk.PacketHandler(0), _LAYOUT, a.baud, a.reply_s)

    def _check(self, servo: Servo) -> None:
        """Its speeds must count as we take them; it must be well."""
        if not (phase := self._bus.read(servo.number, PHASE)) & _FINE_SPEED:
            raise ArmFault(f"{servo}: Phase(18) is {phase}, expected bit 2 set; its speeds would be fifty times ours")
        if ailment := self._ailment(servo, self._bus.read(servo.number, STATUS)):
            raise ArmFault(f"{servo}: {ailment}; let it cool, take its load off, switch it off and on")

    def _permanent(self, servo: Servo) -> list[tuple[Register, int]]:
        return [(MODE, 0), (RESPONSE, 1), (MAX_TORQUE, servo.drive), (self.LOW, servo.low), (self.HIGH, servo.high)]

    def _passing(self, servo: Servo) -> list[tuple[Register, int]]:
        return [(ACCELERATION, 0), (TORQUE_LIMIT, servo.drive), (self.SPEED, servo.velocity)]

    def _unlocked(self, servo: Servo, is_open: bool) -> None:
        self._bus.write(servo.number, LOCK, 0 if is_open else 1)

    def _turns(self, servo: Servo) -> int:
        return -1 if servo.reverse else 1

    def _present(self, data: bytes) -> tuple[int, int, int]:
        current = int.from_bytes(data[13:15], "little")
        current = -(current & 0x7FFF) if current & 0x8000 else current
        return current, int.from_bytes(data[0:2], "little"), data[7]

    def _ailment(self, servo: Servo, error: int) -> str:
        return " and ".join(text for bit, text in _ERRORS.items() if error & bit)

    def _effort(self, servo: Servo, raw: int) -> str:
        return f"{raw * 0.0065:.2f} A"
