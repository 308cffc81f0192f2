"""When the gate does what: by the steady clock, or step by step with the simulator. Pure.

Both paces call the gate in the same order and publish through ``Outlet``; the node only
carries messages in and out, so both are tested with hand-set clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import Clock, Decision, ManualClock, Proposal, StepTick

from .gate import Gate
from .kinematics import Kinematics
from .settings import GateParams

Array = NDArray[np.float64]


class Outlet(Protocol):
    """Where ticks, decisions and setpoints go."""

    def tick(self, tick: StepTick) -> None: ...
    def decision(self, decision: Decision) -> None: ...
    def setpoints(self, points: Sequence[Array], dt_s: float, stamp_ns: int) -> None: ...


class RealPace:
    """The 100 Hz tick and the control period on the steady clock."""

    def __init__(self, gate: Gate, clock: Clock, outlet: Outlet, tick_s: float, silence_s: float) -> None:
        self._gate, self._clock, self._outlet, self._tick_s = gate, clock, outlet, tick_s
        self.timer_s = tick_s
        self._silence_ns = round(silence_s * 1e9)
        self._period_ns = round(gate.spec.period_s * 1e9)
        self._next_ns = self._sent_ns = clock.now_ns()

    def on_joints(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int) -> bool:
        """Pass a joint state on; return False if it was refused."""
        return self._gate.on_joints(names, positions, stamp_ns)

    def on_proposal(self, proposal: Proposal) -> None:
        """Judge on arrival; an accepted proposal's first setpoint goes out at once."""
        if self._gate.judge(proposal):
            self._send()

    def release(self, lease: int) -> tuple[int, str]:
        """The arm is given back, and brakes; return (lease id, "") or (0, why not)."""
        return self._gate.release(lease)

    def on_timer(self) -> None:
        """One tick: the period's turn if it is due, then a setpoint."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._next_ns:
            if self._gate.open_tick:
                self._outlet.decision(self._gate.end_period())
            late = now_ns - self._next_ns >= self._period_ns
            self._next_ns = (now_ns if late else self._next_ns) + self._period_ns
            self._outlet.tick(self._gate.begin_period(now_ns))
        self._send()

    def _send(self) -> None:
        """A setpoint for the time that has passed; after a gap, for two ticks at most."""
        now_ns = self._clock.now_ns()
        if now_ns - self._sent_ns > self._silence_ns:
            self._gate.slept()
            self._sent_ns = now_ns
        passed_s = min((now_ns - self._sent_ns) / 1e9, 2 * self._tick_s)
        if self._gate.ready and passed_s > 0.0:
            self._sent_ns = now_ns
            self._outlet.setpoints([self._gate.setpoint(passed_s)], self._tick_s, now_ns)


class LockstepPace:
    """One barrier per control step: joints in, one trajectory of the whole period out.

    The simulator waits for the trajectory that bears the stamp of its joint states. With
    nobody to wait for, the answer is a hold, after one period of wall time; but once armed,
    simulated time stands still until somebody holds the arm: else the wall would decide how
    far the world goes on between two of them, and no run could be had again.
    """

    def __init__(self, gate: Gate, clock: ManualClock, wall: Clock, outlet: Outlet, tick_s: float) -> None:
        self._gate, self._clock, self._wall, self._outlet = gate, clock, wall, outlet
        self._points = max(1, round(gate.spec.period_s / tick_s))
        self.timer_s = min(gate.spec.period_s / 5, 0.04)
        """Messages drive it; by time an arm changes hands, and what nobody answers is closed."""
        self._pending_since_ns: int | None = None
        self._answer: tuple[list[Array], float, int] | None = None
        self._acting, self._over, self._judged_step = "", "", -1

    def on_joints(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int) -> bool:
        """Open the barrier of ``stamp_ns``. False if refused: time goes on, never back.

        Only while not armed may it start anew, as it does when the simulator was started again.
        The simulator repeats what was not answered. A repeat of the open barrier changes
        nothing; one of the barrier just closed means that the answer was lost, and gets
        the same answer again.
        """
        now_ns = self._clock.now_ns()
        if stamp_ns < now_ns and self._gate.armed:
            return False
        if stamp_ns == now_ns and self._pending_since_ns is None:
            if self._answer is not None:
                self._outlet.setpoints(*self._answer)
            return True
        if stamp_ns != now_ns:
            self._clock.set_ns(stamp_ns)
            self._pending_since_ns = self._wall.now_ns()
        taken = self._gate.on_joints(names, positions, stamp_ns)
        self.advance()
        return taken

    def on_proposal(self, proposal: Proposal) -> None:
        """Judge, then see whether the barrier can close."""
        self._gate.judge(proposal)
        self.advance()

    def release(self, lease: int) -> tuple[int, str]:
        """The arm is given back; return (lease id, "") or (0, why not).

        What was accepted of it is made first: that its episode is over it may have heard before we did, and which of
        us is told first is chance.
        """
        if (tick := self._gate.open_tick) and tick.lease == lease and self._gate.answered:
            self._close()
        return self._gate.release(lease)

    def on_episode(self, episode_id: str, acting: bool, ended: bool, judged_step: int) -> None:
        """Hear where the episode stands: its step k+1 starts only once step k was judged."""
        self._acting = episode_id if acting else ""
        self._over = episode_id if ended else self._over
        self._judged_step = judged_step
        self.advance()

    def on_timer(self) -> None:
        """Wall time has passed: idle barriers close, silent ones turn into STOP."""
        self.advance()

    def advance(self) -> None:
        """Do what can be done now for the open barrier."""
        if self._pending_since_ns is None or not self._gate.ready:
            return
        lease = self._gate.holder()
        over = lease is not None and lease.episode_id == self._over != ""
        waits = lease is not None and not over and not self._gate.blocked
        if not self._gate.open_tick:
            if waits:
                self._outlet.tick(self._gate.begin_period(self._clock.now_ns()))
            elif self._wall.now_ns() - self._pending_since_ns >= self._gate.spec.period_s * 1e9:
                self._gate.on_barrier() if self._gate.idle else self._close()
        elif not waits or (self._gate.answered and not self._unjudged()):
            self._close()

    def _unjudged(self) -> bool:
        """True while the reward's answer for the open step of an acting episode is still due."""
        tick = self._gate.open_tick
        return tick is not None and tick.episode_id == self._acting != "" and self._judged_step < tick.step

    def _close(self) -> None:
        """Answer the barrier with the whole period's setpoints."""
        self._pending_since_ns = None
        dt_s = self._gate.spec.period_s / self._points
        points = [self._gate.setpoint(dt_s) for _ in range(self._points)]
        if self._gate.open_tick:
            self._outlet.decision(self._gate.end_period())
        self._answer = (points, dt_s, self._clock.now_ns())
        self._gate.on_barrier()
        self._outlet.setpoints(*self._answer)


def build(params: GateParams, boot_id: int, steady: Clock, outlet: Outlet) -> tuple[Gate, RealPace | LockstepPace]:
    """Return a gate and its pace; in lockstep the control clock is the simulator's.

    Raises:
        FileNotFoundError, ValueError: from the robot's description.
    """
    kinematics = Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad)
    tick_s = 1.0 / params.safety.gate_tick_hz
    if params.time == "lockstep":
        simulated = ManualClock()
        gate = Gate(params, kinematics, boot_id, simulated, steady)
        return gate, LockstepPace(gate, simulated, steady, outlet, tick_s)
    gate = Gate(params, kinematics, boot_id, steady, steady)
    return gate, RealPace(gate, steady, outlet, tick_s, params.safety.controller_silence_s)
