"""What teleoperation is told: one device, its table of axes and buttons, how fast and how far."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, choice, num, text
from armtune_policies.contract.spec import MIN_RATE_HZ
from armtune_safety.settings import RobotParams

from .table import Table

NONE = "none"
KINDS = (NONE, "joy", "keyboard", "evdev", "spacemouse", "web", "leader", "pose")
POSES = ("leader", "pose")
"""Kinds whose own motion is followed; the others' axes are speeds."""


@dataclass(frozen=True, kw_only=True)
class TeleopParams(Checked):
    """One device: how it is read, and what each of its inputs means."""

    kind: str = choice(NONE, of=KINDS, doc="how the device is read; none: no teleoperation")
    path: str = text("", doc="device file, as /dev/input/event5; blank: the first that fits")
    axes: tuple[str, ...] = text((), doc="rows `target input gain`; targets x y z roll pitch yaw in base_link, gripper")
    buttons: tuple[str, ...] = text((), doc="rows `action input`: engage clutch gripper faster slower, episode keys")
    deadband: float = num(0.08, low=0.0, high=0.5, doc="an axis deflected less is at rest")
    speeds: tuple[float, ...] = num((0.5, 0.25, 1.0), low=0.05, high=1.0, doc="parts of full speed; the first at start")
    engage: str = choice("hold", of=("hold", "toggle"), doc="dead-man: held down, or pressed once for on, once for off")
    idle_s: float = num(5.0, low=1.0, high=60.0, doc="toggle: off after so long without any input [s]")
    silence_s: float = num(0.3, low=0.05, high=1.0, doc="nothing heard from the device for longer: let go [s]")
    still_s: float = num(
        2.0, low=0.05, high=2.0, doc="read directly: moves the arm without any change for longer, let go [s]"
    )
    lease_s: float = num(1.0, low=0.3, high=10.0, doc="expiry of the lease unless a proposal renews it [s]")
    scale_m: float = num(1.0, low=0.05, high=5.0, doc="poses: metres of the tool per metre of the device")
    scale_rad: float = num(1.0, low=0.05, high=5.0, doc="poses: the same for turns")
    base_from_device_rad: tuple[float, float, float] = num(
        (0.0, 0.0, 0.0), low=-3.1416, high=3.1416, doc="poses: rotation vector from the device's frame to base_link"
    )
    jump_m: float = num(0.1, low=0.005, high=0.5, doc="poses: a step between two messages that is no motion [m]")
    jump_rad: float = num(0.5, low=0.05, high=3.0, doc="poses: the same for a turn [rad]")
    host: str = text("127.0.0.1", doc="web: address served; anything else lets others on the network move the arm")
    hosts: tuple[str, ...] = text((), doc="web: further names by which browsers call this machine, as robot.local")
    port: int = num(8765, low=0, high=65535, doc="web: port served; 0: any free one")

    def __post_init__(self) -> None:
        super().__post_init__()
        table = self.table
        if self.kind != NONE and not table.has("engage"):
            raise ConfigError("buttons: expected a row for engage, the dead-man, got none; as in 'engage button4'")
        if not self.speeds:
            raise ConfigError("speeds: expected at least one part of full speed, got none")

    @property
    def is_on(self) -> bool:
        """Whether there is a device at all."""
        return self.kind != NONE

    @property
    def table(self) -> Table:
        return Table.parse(self.axes, self.buttons, self.deadband)


@dataclass(frozen=True, kw_only=True)
class TeleopNodeParams(Checked):
    """What ``teleop_node`` is told."""

    teleop: TeleopParams
    robot: RobotParams
    mjcf: str = text(doc="absolute path of the robot's MJCF description")
    rate_hz: float = num(MIN_RATE_HZ, low=MIN_RATE_HZ, high=50.0, doc="control steps per second")
