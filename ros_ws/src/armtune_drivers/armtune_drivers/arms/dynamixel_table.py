"""Dynamixel X series: registers, units and errors, by the maker's manual. Pure.

Source: emanual.robotis.com/docs/en/dxl/x/xm430-w350 and .../xl430-w250, control tables; addresses in the manual
stand in brackets behind each name, as here.
"""

from __future__ import annotations

import math

from .wire import Register

MODEL = Register("Model Number", 0, 2)
FIRMWARE = Register("Firmware Version", 6, 1)
RETURN_DELAY = Register("Return Delay Time", 9, 1)
DRIVE_MODE = Register("Drive Mode", 10, 1)
OPERATING_MODE = Register("Operating Mode", 11, 1)
SECONDARY_ID = Register("Secondary ID", 12, 1)
TEMPERATURE_LIMIT = Register("Temperature Limit", 31, 1)
PWM_LIMIT = Register("PWM Limit", 36, 2)
VELOCITY_LIMIT = Register("Velocity Limit", 44, 4)
MAX_POSITION = Register("Max Position Limit", 48, 4)
MIN_POSITION = Register("Min Position Limit", 52, 4)
SHUTDOWN = Register("Shutdown", 63, 1)
TORQUE = Register("Torque Enable", 64, 1)
STATUS_RETURN = Register("Status Return Level", 68, 1)
HARDWARE_ERROR = Register("Hardware Error Status", 70, 1)
WATCHDOG = Register("Bus Watchdog", 98, 1)
GOAL_PWM = Register("Goal PWM", 100, 2)
PROFILE_ACCELERATION = Register("Profile Acceleration", 108, 4)
PROFILE_VELOCITY = Register("Profile Velocity", 112, 4)
GOAL_POSITION = Register("Goal Position", 116, 4)
PRESENT = Register("Present Current to Temperature", 126, 21)
"""One read covers current or load (126), velocity (128), position (132), trajectories, voltage (144), temperature."""

TICKS_A_TURN = 4096
TICK_RAD = 2.0 * math.pi / TICKS_A_TURN
VELOCITY_RAD_S = 0.229 * 2.0 * math.pi / 60.0
WATCHDOG_UNIT_S, WATCHDOG_FIRMWARE = 0.02, 38
FULL_PWM = 885
POSITION_CONTROL = 3
"""Of the modes, the one in which the servo itself keeps its position limits."""
UNSET_ID = 255
OVERLOAD_SHOCK_HEAT = 0x34
ALL_STATUS = 2

EFFORT = {1020: (0.00269, "A"), 1060: (0.1, "%")}
"""What register 126 counts, by model: XM430-W350 current, XL430-W250 load."""

ERRORS = {
    0x01: "input voltage out of range",
    0x04: "overheated",
    0x08: "motor encoder failed",
    0x10: "electrical shock or too little power",
    0x20: "overloaded",
}


def errors(status: int) -> str:
    """Return what Hardware Error Status(70) says, in words."""
    return " and ".join(text for bit, text in ERRORS.items() if status & bit) or f"hardware error {status:#x}"


def present(data: bytes) -> tuple[int, int, int]:
    """Return current or load, position and temperature [C], raw, of the 21 bytes of ``PRESENT``."""

    def signed(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], "little", signed=True)

    return signed(0, 2), signed(6, 4), data[20]
