"""The arm's controller: setpoints in, the arm held when they fall silent, faults said and mended. Pure of ROS."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Sequence

from armtune_drivers.settings import ArmParams
from armtune_policies.contract import Clock, ConfigError
from armtune_safety.controller import Controller
from armtune_safety.following import Follower, path
from armtune_safety.settings import RobotParams

from .base import SETTLE_NS, Adapter, ArmFault, Reading

_ADAPTERS = {
    "dynamixel": ("Dynamixel", "dynamixel_sdk", "dynamixel-sdk"),
    "feetech": ("Feetech", "scservo_sdk", "feetech-servo-sdk"),
    "franka": ("Franka", "franky", "franky-control"),
    "trossen": ("Trossen", "trossen_arm", "trossen_arm"),
}
"""By module: the adapter, what it imports, and the package that has it."""
_NEVER_NS = 1 << 63


def make_adapter(robot: RobotParams, arm: ArmParams) -> Adapter:
    """Return the adapter that a config names.

    Raises:
        ConfigError: when its package is not installed, or this arm is not for ``arm_node``.
    """
    if arm.adapter not in _ADAPTERS:
        raise ConfigError(f"arm.adapter: arm_node drives {', '.join(_ADAPTERS)}; got {arm.adapter}")
    kind, needs, package = _ADAPTERS[arm.adapter]
    if importlib.util.find_spec(needs) is None:
        raise ConfigError(f"arm.adapter: {arm.adapter} needs {package}; run `pip install {package}`")
    return getattr(importlib.import_module(f".{arm.adapter}", __package__), kind)(robot, arm)


class ArmLoop:
    """One arm and what it follows. One thread calls ``engage`` and ``step``, any other ``hear``.

    Silence of the gate is noticed here and the arm held where it is; silence of this process is noticed by
    the motors' own watchdog.
    """

    def __init__(self, adapter: Adapter, robot: RobotParams, clock: Clock) -> None:
        self._adapter, self._robot, self._clock = adapter, robot, clock
        self._follower, self._heard = Follower(robot), threading.Lock()
        self._measured = self._follower.hold_last()
        self._works, self._hear_from_ns = False, _NEVER_NS
        self.refused = 0
        """Setpoints refused so far."""

    @property
    def holds(self) -> bool:
        """Whether the arm holds because no setpoint was heard in time."""
        return self._follower.holds

    def open(self) -> None:
        """Find the arm and set it up; it is not held yet."""
        try:
            self._adapter.open()
        except ArmFault:
            self._adapter.close()
            raise

    def engage(self, boot_id: int) -> Controller:
        """Hold the arm where it is; return what its motors were read back to enforce."""
        self._measured = self._adapter.engage()
        said = self._adapter.enforces(boot_id)
        with self._heard:
            self._follower.hold(self._measured, self._clock.now_ns())
            self._works, self._hear_from_ns = True, _NEVER_NS
        return said

    def hear(self, names: Sequence[str], positions: Sequence[Sequence[float]]) -> None:
        """Hear the newest setpoint; without effect before the first reading is out and its sender knows where we are.

        Raises:
            ValueError: when it is refused: for other joints, not finite, outside the limits or too fast.
        """
        try:
            point = path(self._robot, names, positions)[0]
            with self._heard:
                now_ns = self._clock.now_ns()
                if self._works and now_ns >= self._hear_from_ns:
                    self._follower.take(point, now_ns)
        except ValueError:
            self.refused += 1
            raise

    def step(self) -> Reading | None:
        """Send what to follow now, read where the arm is."""
        with self._heard:
            goal = self._follower.next(self._measured, self._clock.now_ns())
        self._adapter.write(goal)
        reading = self._adapter.read()
        if reading is not None:
            self._measured = reading.position
            with self._heard:
                self._hear_from_ns = min(self._hear_from_ns, self._clock.now_ns() + SETTLE_NS)
        return reading

    def fail(self) -> None:
        """The arm is lost for now: setpoints have no effect until it is engaged anew."""
        with self._heard:
            self._works = False
        self._adapter.close()
