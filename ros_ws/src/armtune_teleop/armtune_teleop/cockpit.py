"""One device and its pilot: opened, read, lost and found again. Pure: time is handed in, messages come as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from armtune_policies.contract import ActionSpec, Clock
from armtune_safety.kinematics import Kinematics

from .devices import Device, Gone, Inbox, open_device
from .pilot import Pilot
from .poses import joints_pose, pose
from .readings import of_joy
from .settings import TeleopNodeParams
from .table import MOTIONS, Refused

REOPEN_S = 1.0
DRAINED_S = 0.5
"""So long after one of two devices is gone, what it said before may still come: none is believed yet."""


class Cockpit:
    """What the operator holds.

    ``inbox`` takes the readings of a device that is heard. ``trouble`` says what is wrong with the device, blank for
    nothing. A device that is not there may come later: it is tried again every second. Whatever goes wrong, the pilot
    lets go.

    Args:
        params: The device, the robot, the rate.
        clock: Steady.
        opening: Says what the gripper is told now, 0..1; asked on engaging.
    """

    def __init__(self, params: TeleopNodeParams, clock: Clock, opening: Callable[[], float]) -> None:
        self._params, self._clock, self._opening = params, clock, opening
        self.pilot = Pilot(params.teleop, ActionSpec(rate_hz=params.rate_hz))
        self.inbox, self.device = Inbox(), cast("Device | None", None)
        self.trouble = self._doubled = ""
        self._doubled_ns = 0
        leads = params.teleop.kind == "leader"
        self._kinematics = Kinematics(params.robot, params.mjcf) if leads else None
        self._leads: float | None = None
        self._open()

    def poll(self, is_stopped: bool = False, doubled: str = "") -> tuple[str, ...]:
        """Read the device; return the episode keys pressed just now.

        Args:
            is_stopped: While the gate is, no dead-man counts, and one that is down when it is armed must be let go
                first: arming alone moves nothing.
            doubled: The topic on which two devices speak at once, if any: then neither is believed.
        """
        self._doubt(doubled)  # first: a dead-man that is up on the other device is no release
        keys = self._read()
        if is_stopped:
            self.pilot.drop()
        self._doubt(doubled)
        return () if self._doubled else keys

    def _doubt(self, doubled: str) -> None:
        """Let go while two devices speak at once, and until what they said meanwhile has come."""
        now_ns = self._clock.now_ns()
        if doubled:
            self._doubled, self._doubled_ns = doubled, now_ns
        elif (now_ns - self._doubled_ns) / 1e9 > DRAINED_S:
            self._doubled = ""
        if self._doubled:
            self.lose(f"two publish on {self._doubled}; end one of them")

    def _read(self) -> tuple[str, ...]:
        now_ns = self._clock.now_ns()
        if self.device is None:
            if now_ns >= self._reopen_ns:
                self._open()
            return ()
        try:
            keys: tuple[str, ...] = ()
            if (reading := self.device.poll()) is not None:
                keys = self.pilot.hear(reading, now_ns, self._opening)
                self.trouble = ""
            self.trouble = self.pilot.silent(now_ns) or self.trouble
            return keys
        except Refused as why:
            self.lose(str(why))
        except Gone as why:
            self.device.close()
            self.device = None
            self.lose(str(why))
        return ()

    def lose(self, why: str) -> None:
        """Let go, for a reason that displays show."""
        self.pilot.drop(why)
        self.trouble = why

    # -- what comes as messages ------------------------------------------------------------

    def on_joy(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        """Take the numbers of a Joy message."""
        self.inbox.put(of_joy(self._params.teleop.kind, axes, buttons, self._leads))

    def on_pose(self, p: Sequence[float], q_xyzw: Sequence[float]) -> None:
        """Take a position [m] and a quaternion x y z w of the hand, in its own frame."""
        self._feel(lambda: pose(p, q_xyzw))

    def on_leader(self, at: Mapping[str, float]) -> None:
        """Take joint positions [rad; finger m] by name of the leader arm."""
        robot, kinematics = self._params.robot, self._kinematics
        self._leads = robot.opening(at.get(robot.finger_joint, math.nan))
        if kinematics is not None:
            self._feel(lambda: joints_pose(kinematics, robot, at))

    def close(self) -> None:
        device, self.device = self.device, None
        if device is not None:
            device.close()

    def shown(self) -> dict[str, Any]:
        """Return the live axes and buttons, in words."""
        wish = self.pilot.wish
        moved = {name: f"{value:+.2f}" for name, value in zip(MOTIONS, wish.motion.tolist())}
        return {**moved, "down": " ".join(sorted(wish.actions))}

    def _feel(self, where: Callable[[], tuple[Any, Any]]) -> None:
        try:
            self.pilot.feel(*where(), self._clock.now_ns())
        except Refused as why:
            self.lose(str(why))

    def _open(self) -> None:
        self._reopen_ns = self._clock.now_ns() + round(REOPEN_S * 1e9)
        try:
            self.device, self.trouble = open_device(self._params.teleop, self.inbox, self._clock), ""
        except Gone as why:
            self.device, self.trouble = None, str(why)
