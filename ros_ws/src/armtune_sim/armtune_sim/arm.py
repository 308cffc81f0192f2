"""The simulated arm behind its controller: setpoints in, ticks of the world out. Pure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armtune_policies.contract import Clock, ConfigError, Direction
from armtune_safety.following import Array, Follower
from armtune_safety.settings import RobotParams

from .arm_log import ArmLog, Source
from .world import TICK_NS, World

_LATE_TICKS = 5
_START_NS = 1_000_000_000


def ticks_a_period(rate_hz: float) -> int:
    """Return how many ticks of 10 ms make a control period.

    Raises:
        ConfigError: when that is no whole number.
    """
    ticks = round(1e9 / rate_hz / TICK_NS)
    if abs(ticks * TICK_NS * rate_hz - 1e9) > 1.0:
        raise ConfigError(f"rate_hz: lockstep needs whole 10 ms ticks a period, got {rate_hz}")
    return ticks


class Arm:
    """A world that moves only as its controller follows; every tick goes into the log.

    ``moment`` stands between the world's ticks and who looks at it from another thread.

    Args:
        clock: The steady clock in real time, None in lockstep: there, time is the world's.
        log: Where the arm's own log goes; blank for none.

    Raises:
        ValueError, OSError: when the log cannot be begun.
    """

    def __init__(self, world: World, robot: RobotParams, clock: Clock | None, log: str = "") -> None:
        self.world, self.moment, self.follower = world, threading.Lock(), Follower(robot)
        self.ticks = self.skipped = 0
        self._clock, self._offset_ns, self._due_ns = clock, _START_NS, 0
        self._log = ArmLog(Path(log), robot.dof + 1) if log else None

    @property
    def now_ns(self) -> int:
        """Simulated time; it goes on when the scene starts anew."""
        return self._offset_ns + self.world.time_ns

    def facts(self) -> dict[str, Any]:
        """What diagnostics say about the arm."""
        log = self._log.error if self._log else ""
        return {"ticks": self.ticks, "skipped": self.skipped, "refused": self.follower.refused, "log": log}

    def start(self) -> None:
        """Hold where the arm is; in real time the first tick is due now."""
        self._due_ns = self._control_ns()
        self.follower.hold(self.world.joints_measured(), self._due_ns)

    def hear(self, setpoint: Array) -> None:
        """Real time: hear the newest setpoint (dof + 1,).

        Raises:
            ValueError: when the controller refuses it.
        """
        self.follower.take(setpoint, self._control_ns())

    def catch_up(self) -> int:
        """Real time: do the ticks that are due, after a pause at most a few; return how many."""
        now_ns, done = self._control_ns(), 0
        if (late := (now_ns - self._due_ns) // TICK_NS - _LATE_TICKS) > 0:
            self._due_ns += late * TICK_NS
            self.skipped += late
        while self._due_ns <= now_ns:
            self._due_ns += TICK_NS
            with self.moment:
                self._tick(self.follower.next(self.world.joints_measured(), now_ns))
            done += 1
        return done

    def play(self, points: Sequence[Array]) -> str:
        """Lockstep: follow a point (dof + 1,) a tick, or hold for as long; return "" or why it holds."""
        why = ""
        try:
            followed = self.follower.take_all(points, self._control_ns(), TICK_NS)
        except ValueError as refused:
            # A period is longer than silence may be. What was followed last may be beyond what the arm presses against,
            # and the gate, which gives way there, would be refused for ever.
            here = self.follower.hold_here(self.world.joints_measured(), self._control_ns())
            why, followed = str(refused), [here] * len(points)
        for point in followed:
            self._tick(point)
        return why

    def reset(self, seed: int, direction: Direction | None, gap_ns: int) -> None:
        """Lay the scene of a seed, the arm at home and held; simulated time is ``gap_ns`` later.

        Without a direction the arm alone is lifted home, as by a person's hand; the objects stay as they are.
        """
        with self.moment:
            now_ns = self.now_ns + gap_ns
            self.world.lift_home() if direction is None else self.world.reset(seed, direction)
            self._offset_ns = now_ns - self.world.time_ns
            here = self.world.joints_measured()
            held = self.follower.hold_here(here, self._control_ns())  # the gate goes on with the hand as it was told
            if self._log:
                self._log.tick(self.now_ns, "reset", held, here)

    def inject(self, name: str, on: bool, value: float) -> str:
        """Put the wall ``value`` metres ahead (see ``Wall.put``), or take it away; return "" or why not."""
        if name != "arm.wall" or self.world.wall is None:
            return f"{name}: the simulated arm has no such fault; with sim.faults=true it has arm.wall"
        with self.moment:
            if on:
                self.world.wall.put(value)
            else:
                self.world.wall.take_away()
        return ""

    def close(self) -> None:
        """End the log and give the world's pictures back."""
        if self._log:
            self._log.close()
        self.world.close()

    def _control_ns(self) -> int:
        return self._clock.now_ns() if self._clock else self.now_ns

    def _tick(self, setpoint: Array) -> None:
        self.world.tick(setpoint)
        self.ticks += 1
        if self._log:
            source: Source = "hold" if self.follower.holds else "setpoint"
            self._log.tick(self.now_ns, source, setpoint, self.world.joints_measured())
