"""What moves the motors, read back: its limits and its own watchdog. Pure.

ros2_control on Jazzy enforces no limits unless told, and its controllers have no safe stale
timeout by default (docs/safety.md); so nothing is taken for granted.
"""

from __future__ import annotations

from dataclasses import dataclass

from .settings import RobotParams, SafetyParams

_SLACK = 1e-6


@dataclass(frozen=True)
class Controller:
    """What a controller says it enforces: arm joints, then the finger [rad; m].

    ``fault`` is what ails it, ``warning`` what strains it; blank when well.
    """

    boot_id: int
    name: str
    joints: tuple[str, ...]
    position_low: tuple[float, ...]
    position_high: tuple[float, ...]
    velocity_limit: tuple[float, ...]
    silence_s: float
    fault: str = ""
    warning: str = ""

    @classmethod
    def nothing(cls, name: str) -> Controller:
        """Return one that has found no arm yet."""
        return cls(0, name, (), (), (), (), 0.0)

    @classmethod
    def enforcing(cls, robot: RobotParams, silence_s: float, boot_id: int = 1, name: str = "sim") -> Controller:
        """Return one that enforces exactly the robot's public limits."""
        low, high, speed = _public(robot)
        return cls(boot_id, name, (*robot.joints, robot.finger_joint), low, high, speed, silence_s)

    def unfit(self, robot: RobotParams, safety: SafetyParams) -> str:
        """Return why this controller may not have the arm, or ""."""
        if self.fault:
            return f"{self.name}: {self.fault}"
        names = (*robot.joints, robot.finger_joint)
        if sorted(self.joints) != sorted(names):
            return f"{self.name} moves {', '.join(self.joints) or 'nothing'}, expected {', '.join(names)}"
        if not all(len(v) == len(names) for v in (self.position_low, self.position_high, self.velocity_limit)):
            return f"{self.name} says no limit for some joint; set its limits and have it enforce them"
        if not 0.0 < self.silence_s <= safety.controller_silence_s:
            return (
                f"{self.name} holds after {self.silence_s:g} s without setpoints, expected at most "
                f"{safety.controller_silence_s:g} s; set its watchdog"
            )
        said = dict(zip(self.joints, zip(self.position_low, self.position_high, self.velocity_limit)))
        for name, low, high, speed in zip(names, *_public(robot)):
            got = said[name]
            if not (low - _SLACK <= got[0] < got[1] <= high + _SLACK and 0.0 < got[2] <= speed + _SLACK):
                return (
                    f"{self.name} lets {name} within [{got[0]:g}, {got[1]:g}] at {got[2]:g} a second, "
                    f"expected limits no wider than [{low:g}, {high:g}] at {speed:g}"
                )
        return ""


def _public(robot: RobotParams) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """The robot's lower, upper and speed limits, the finger's last [m, m/s]."""
    finger = sorted((robot.gripper_closed_m, robot.gripper_open_m))
    finger_m_s = robot.gripper_velocity_1_s * (finger[1] - finger[0])
    return (
        (*robot.joint_lower_rad, finger[0]),
        (*robot.joint_upper_rad, finger[1]),
        (*robot.joint_velocity_rad_s, finger_m_s),
    )
