"""An arm of bus servos: one class for all families, which differ in registers, units and what guards them.

What guards the arm below us is set and read back before it may be armed: limits of position and speed in
every servo, its watchdog where it has one. Permanent settings are written only where they differ, with the
torque off, and that only when a person said that the arm may go limp.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from armtune_drivers.settings import ArmParams
from armtune_safety.controller import Controller
from armtune_safety.following import SILENT_NS
from armtune_safety.settings import RobotParams

from .base import ArmFault, Array, Losses, Reading
from .gripper import Slider
from .wire import Register, Wire

_LOG = logging.getLogger(__name__)
_APART_RAD, _OUTSIDE_TICKS = 0.1, 13
_SAG_RAD = 0.05
"""A servo under load holds this much short of its goal; further off is a goal of another time."""
_WARM_C, _HOT_C = 15, 5
_LOOK_EVERY = 20
Seen = dict[int, tuple[int, int, int]]
"""Effort, place and heat [C] of each servo, as it counts them."""


@dataclass(frozen=True)
class Servo:
    """What one servo is and must be told; ticks as it counts them.

    Attributes:
        main: The servo it shadows, or its own number.
    """

    name: str
    number: int
    model: int
    reverse: bool
    main: int
    low: int
    high: int
    velocity: int
    drive: int

    def __str__(self) -> str:
        return f"{self.name} (id {self.number})"


class ServoArm(ABC):
    """The adapter (see ``base.Adapter``) but for what a family says of its servos."""

    name: ClassVar[str]
    TICKS: ClassVar[int] = 4096
    FULL_DRIVE: ClassVar[int]
    VELOCITY_RAD_S: ClassVar[float]
    MODEL: ClassVar[Register]
    TORQUE: ClassVar[Register]
    GOAL: ClassVar[Register]
    PRESENT: ClassVar[Register]
    LOW: ClassVar[Register]
    HIGH: ClassVar[Register]
    SPEED: ClassVar[Register]
    HEAT_LIMIT: ClassVar[Register]
    WATCHDOG: ClassVar[Register | None] = None
    WATCHDOG_UNIT_S: ClassVar[float] = 0.02

    def __init__(self, robot: RobotParams, arm: ArmParams) -> None:
        self._robot, self._arm = robot, arm
        self._tick_rad = 2.0 * np.pi / self.TICKS
        self._slider = Slider(arm.horn_m, arm.link_m)
        self._mains = [self._main(i) for i in range(robot.dof + 1)]
        shadows = [(main, n) for main, n in zip(self._mains, arm.shadow_ids or (-1,) * len(self._mains)) if n >= 0]
        self._shadows = {main.number: _shadow(main, number) for main, number in shadows}
        self._all = {servo.number: servo for servo in (*self._mains, *self._shadows.values())}
        self._watchdog = int(arm.watchdog_s / self.WATCHDOG_UNIT_S + 1e-6)
        self._heat_c: dict[int, int] = {}
        self._may_go_limp = arm.may_go_limp
        self._wire: Wire | None = None
        self._anew()

    # -- what a family says ------------------------------------------------------------------------

    @abstractmethod
    def _connect(self) -> Wire:
        """Open the port with the maker's SDK."""

    @abstractmethod
    def _check(self, servo: Servo) -> None:
        """Refuse a servo that is not as it must be and cannot be told to be."""

    @abstractmethod
    def _permanent(self, servo: Servo) -> list[tuple[Register, int]]:
        """What is kept without power, and can be written without torque only."""

    @abstractmethod
    def _passing(self, servo: Servo) -> list[tuple[Register, int]]:
        """What must be set anew each time."""

    @abstractmethod
    def _present(self, data: bytes) -> tuple[int, int, int]:
        """Effort, place and heat [C] in what ``PRESENT`` reads."""

    @abstractmethod
    def _ailment(self, servo: Servo, error: int) -> str:
        """What an answer's error byte says of the servo's health, blank when well."""

    @abstractmethod
    def _effort(self, servo: Servo, raw: int) -> str:
        """A servo's effort with its unit."""

    def _turns(self, servo: Servo) -> int:
        """1, or -1 for a servo whose place must be counted backwards by us."""
        return 1

    @abstractmethod
    def _unlocked(self, servo: Servo, is_open: bool) -> None:
        """Open or close the permanent settings, where a family has a key to them."""

    def _anew(self) -> None:
        names = {number: servo.name for number, servo in self._all.items()}
        self._losses = Losses(names, self._arm.lost_in_a_row, self._arm.lost_share)
        self._reads, self._spoke_s = 0, time.monotonic()

    @property
    def _bus(self) -> Wire:
        if self._wire is None:
            raise ArmFault(f"{self._arm.port}: not open")
        return self._wire

    # -- before it moves ---------------------------------------------------------------------

    def open(self) -> None:
        """See ``base.Adapter``."""
        self.close()
        self._wire = self._connect()
        try:
            self._find()
        finally:  # whoever held the arm at the start need not hold it at the next fault
            self._may_go_limp = False

    def _find(self) -> None:
        """Every servo is there, as it must be, and set up."""
        missing = [servo for servo in self._all.values() if not self._bus.ping(servo.number)]
        if missing:
            named = ", ".join(map(str, missing))
            raise ArmFault(f"{self._arm.port}: no answer from {named}; check power, cables and arm.baud")
        for servo in self._all.values():
            if (model := self._bus.read(servo.number, self.MODEL)) != servo.model:
                raise ArmFault(f"{servo}: expected model {servo.model}, got {model}; is arm.models this robot's?")
            self._check(servo)
            self._settle(servo)
            self._heat_c[servo.number] = self._bus.read(servo.number, self.HEAT_LIMIT)
        self._anew()  # what was lost before is of another time
        self._be_cool(self._places())

    def _settle(self, servo: Servo) -> None:
        """Write what differs of the permanent settings; that needs the torque off, and so a person."""
        found = [(r, v, self._bus.read(servo.number, r)) for r, v in self._permanent(servo)]
        differing = [(r, v) for r, v, got in found if got != v]
        if differing and self._bus.read(servo.number, self.TORQUE):
            if not self._may_go_limp:
                named = ", ".join(f"{r.name}({r.address}) {v}" for r, v in differing)
                raise ArmFault(
                    f"{servo}: holds with its torque on, and {named} can be set without only; hold the arm, "
                    "then start once with arm.may_go_limp=true"
                )
            self._bus.write(servo.number, self.TORQUE, 0)
        if differing:  # perhaps another program's calibration: nobody shall have to guess what it was
            changes = (f"{r.name}({r.address}) was {got}, becomes {v}" for r, v, got in found if got != v)
            _LOG.warning("%s: %s", servo, ", ".join(changes))
            self._unlocked(servo, True)
            self._tell(servo, differing)
            self._unlocked(servo, False)

    def _tell(self, servo: Servo, settings: Sequence[tuple[Register, int]]) -> None:
        """Write registers and read them back."""
        for register, value in settings:
            self._bus.write(servo.number, register, value)
        for register, value in settings:
            if (got := self._bus.read(servo.number, register)) != value:
                raise ArmFault(f"{servo}: {register.name}({register.address}) reads {got} after {value} was written")

    # -- taking hold ---------------------------------------------------------------------------

    def engage(self) -> Array:
        """See ``base.Adapter``."""
        self._anew()
        places = self._places()
        goals = {main.number: self._hold(main, places[main.number][1]) for main in self._mains}  # before any torque
        for servo in self._all.values():
            self._tell(servo, [*self._guard(0), *self._passing(servo)])
        for main in self._mains:  # a shadow's goal follows by its second id
            self._tell(main, [(self.GOAL, goals[main.number]), (self.TORQUE, 1)])
        for servo in self._all.values():
            self._tell(servo, [(self.TORQUE, 1), *self._guard(self._watchdog)])
        self._spoke_s = time.monotonic()
        return self._position(goals)

    def _hold(self, main: Servo, at: int) -> int:
        """The goal that holds a joint where it is [ticks]; a holding one keeps its own, or each fault sinks the arm."""
        if not main.low - _OUTSIDE_TICKS <= at <= main.high + _OUTSIDE_TICKS:
            raise ArmFault(f"{main}: rests outside its limits, at {at} of {main.low} to {main.high}; move it inside")
        if self._bus.read(main.number, self.TORQUE) == 1:
            goal = self._bus.read(main.number, self.GOAL)
            at = goal if abs(goal - at) * self._tick_rad <= _SAG_RAD else at
        return min(max(at, main.low), main.high)

    def _guard(self, value: int) -> list[tuple[Register, int]]:
        return [(self.WATCHDOG, value)] if self.WATCHDOG else []

    def _places(self) -> Seen:
        """Where every servo is, however often one must ask; a joint's two must agree."""
        for _ in range(self._arm.lost_in_a_row + 1):
            found = self._look()
            if found is not None:
                return found
        raise ArmFault(f"{self._arm.port}: not all servos answer at once; check the cables along the arm")

    def enforces(self, boot_id: int) -> Controller:
        """See ``base.Adapter``; every number is read back now."""

        def ends(main: Servo) -> list[float]:
            return sorted(self._angle(main, self._bus.read(main.number, r)) for r in (self.LOW, self.HIGH))

        limits = [ends(main) for main in self._mains]
        speeds = [self._bus.read(main.number, self.SPEED) * self.VELOCITY_RAD_S for main in self._mains]
        speeds[-1] *= self._slider.fastest_m(*limits[-1])
        limits[-1] = [self._slider.finger_m(angle) for angle in limits[-1]]
        silence_s = SILENT_NS / 1e9
        if self.WATCHDOG:
            bites = [self._bus.read(number, self.WATCHDOG) for number in self._all]
            silence_s = max(silence_s, max(bites) * self.WATCHDOG_UNIT_S) if min(bites) > 0 else 0.0
        names = (*self._robot.joints, self._robot.finger_joint)
        lows, highs = zip(*limits)
        return Controller(boot_id, self.name, names, tuple(lows), tuple(highs), tuple(speeds), silence_s)

    # -- while it moves --------------------------------------------------------------------------

    def write(self, setpoint: Array) -> None:
        """See ``base.Adapter``."""
        if time.monotonic() - self._spoke_s > self._arm.watchdog_s:
            self._look()
            self._look_at_guards()
        goals = {m.number: min(max(v, m.low), m.high) for m, v in zip(self._mains, self._ticks(setpoint))}
        self._bus.sync_write(self.GOAL, goals)
        self._spoke_s = time.monotonic()

    def read(self) -> Reading | None:
        """See ``base.Adapter``."""
        self._reads += 1
        found = self._look()
        if self._reads % _LOOK_EVERY == 0:
            self._look_at_guards()
        if found is None:
            return None
        warm = self._be_cool(found)
        losing = f"{self._losses.recent:.0%} of answers lost" if self._losses.recent > 0.05 else ""
        here = self._position({n: at for n, (_, at, _) in found.items()})
        return Reading(here, self._facts(found), " and ".join(filter(None, (warm, losing))))

    def _look(self) -> Seen | None:
        """Effort, place and heat of every servo, or None if one did not answer.

        Raises:
            ArmFault: for a hardware error, a joint whose two servos disagree, and too much silence.
        """
        answers = self._bus.sync_read(self.PRESENT, self._all)
        self._losses.note(answers)
        for number, (error, _) in answers.items():
            self._be_well(self._all[number], error)
        found = {number: self._present(data) for number, (_, data) in answers.items()}
        if any(number not in found for number in self._all):
            return None
        for main, shadow in self._shadows.items():
            apart_rad = abs(found[main][1] - found[shadow.number][1]) * self._tick_rad
            if apart_rad > _APART_RAD:
                raise ArmFault(f"{self._all[main]} and {shadow}: {apart_rad:.2f} rad apart; set Homing Offset(20) anew")
        return found

    def _be_cool(self, found: Seen) -> str:
        """Refuse a servo about to let go for its heat; return a warning of one that is warm, or blank."""
        hottest = min(found, key=lambda n: self._heat_c[n] - found[n][2])
        heat, limit = found[hottest][2], self._heat_c[hottest]
        if limit - heat <= _HOT_C:
            raise ArmFault(f"{self._all[hottest]}: {heat} C, it lets go at {limit} C; let it cool")
        return f"{self._all[hottest]}: {heat} C" if limit - heat <= _WARM_C else ""

    def _be_well(self, servo: Servo, error: int) -> None:
        if ailment := self._ailment(servo, error):
            raise ArmFault(f"{servo}: {ailment}; it has let go, hold the arm")

    def _look_at_guards(self) -> None:
        """A servo whose watchdog bit refuses goals, one that was without power is limp: both say so only if asked."""
        silent = f"its watchdog stopped it, the bus was silent for {self._arm.watchdog_s:g} s"
        guards = [(self.TORQUE, 1, "its torque is off; was it without power? hold the arm")]
        if self.WATCHDOG:
            guards.append((self.WATCHDOG, self._watchdog, silent))
        for register, wanted, wrong in guards:
            for number, (error, data) in self._bus.sync_read(register, self._all).items():
                self._be_well(self._all[number], error)
                if data[0] != wanted:
                    raise ArmFault(f"{self._all[number]}: {wrong}")

    def close(self) -> None:
        """See ``base.Adapter``."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    # -- units -----------------------------------------------------------------------------------

    def _zero(self, servo: Servo) -> int:
        return self._arm.zero_ticks[self._arm.ids.index(servo.main)]

    def _angle(self, servo: Servo, ticks: int) -> float:
        return self._turns(servo) * (ticks - self._zero(servo)) * self._tick_rad

    def _position(self, ticks: Mapping[int, int]) -> Array:
        angles = [self._angle(main, ticks[main.number]) for main in self._mains]
        return np.array([*angles[:-1], self._robot.opening(self._slider.finger_m(angles[-1]))])

    def _ticks(self, setpoint: Array) -> list[int]:
        finger = self._slider.angle_rad(self._robot.finger_m(float(np.clip(setpoint[-1], 0.0, 1.0))))
        angles = [*setpoint[:-1].tolist(), finger]
        return [round(self._turns(m) * q / self._tick_rad) + self._zero(m) for m, q in zip(self._mains, angles)]

    def _facts(self, found: Seen) -> dict[str, str]:
        heat = ", ".join(f"{self._all[n].name} {heat}" for n, (_, _, heat) in found.items())
        effort = ", ".join(f"{self._all[n].name} {self._effort(self._all[n], raw)}" for n, (raw, _, _) in found.items())
        lost = f"{self._losses.lost} of {self._losses.asked}, {self._losses.recent:.1%} of the last"
        return {"temperature_c": heat, "effort": effort, "lost_answers": lost}

    def _main(self, i: int) -> Servo:
        """The servo of a joint, the gripper's last, with the robot's public limits in its ticks, rounded inwards."""
        robot, arm, is_finger = self._robot, self._arm, i == self._robot.dof
        part = arm.grip_effort if is_finger else 1.0
        servo = Servo(arm.joints[i], arm.ids[i], arm.models[i], arm.reverse[i], arm.ids[i], 0, 0, 0, 0)
        if is_finger:
            ends = sorted(self._slider.angle_rad(end) for end in (robot.gripper_closed_m, robot.gripper_open_m))
            finger_m_s = robot.gripper_velocity_1_s * abs(robot.gripper_open_m - robot.gripper_closed_m)
            speed = finger_m_s / self._slider.fastest_m(*ends)
        else:
            ends, speed = [robot.joint_lower_rad[i], robot.joint_upper_rad[i]], robot.joint_velocity_rad_s[i]
        low, high = sorted(self._turns(servo) * end / self._tick_rad for end in ends)
        return replace(
            servo,
            low=max(0, int(np.ceil(low - 1e-4)) + arm.zero_ticks[i]),
            high=min(self.TICKS - 1, int(np.floor(high + 1e-4)) + arm.zero_ticks[i]),
            velocity=int(speed / self.VELOCITY_RAD_S + 1e-6),
            drive=round(self.FULL_DRIVE * part),
        )


def _shadow(main: Servo, number: int) -> Servo:
    """The second servo of a joint sits mirrored, and hears its main's id."""
    return replace(main, name=f"{main.name} shadow", number=number, reverse=not main.reverse)
