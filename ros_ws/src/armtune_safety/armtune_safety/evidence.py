"""What the gate has seen and heard, kept until the failsafe table asks. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from . import failsafe
from .arm import Arm
from .controller import Controller
from .failsafe import Facts
from .settings import GateParams

Array = NDArray[np.float64]
_WINDOW_S = 1.0
_NEVER_NS = -(10**18)


class Evidence:
    """Turns what happened into facts. Two clocks' readings come in: control and liveness [ns]."""

    def __init__(self, params: GateParams, arm: Arm, control_ns: int, liveness_ns: int) -> None:
        self._robot, self._safety, self._arm = params.robot, params.safety, arm
        self._is_lockstep, self._period_s = params.time == "lockstep", 1.0 / params.rate_hz
        self.stop_requested = self.hold_requested = self._is_pressed = False
        self._pressed_ns: int | None = None
        self.doubled, self.outside_in_a_row, self.is_singular = 0, 0, False
        self.accepted_ns: int | None = None
        """When the last proposal of this sequence was accepted."""
        self._controller: Controller | None = None
        self._armed_with, self.controller_refusal = 0, "no controller has said what it enforces"
        self.cameras = dict.fromkeys(params.checked_cameras, "not looked at yet")
        """What is wrong with each camera that must be in its place; blank: nothing."""
        self.unfit: Mapping[str, str] = {"machine": "not looked at yet"}
        """What keeps this machine from being armed, by name."""
        self._window = max(1, round(_WINDOW_S * params.rate_hz))
        self._answered: deque[bool] = deque(maxlen=self._window)
        self._supervisor_ns: int | None = None
        self._heard_ns = self._steady_ns = _NEVER_NS
        self._gap_ns = (1.5 * self._period_s if self._is_lockstep else params.safety.joint_state_age_s) * 1e9
        self._lost_since_ns: int | None = None
        self._moved = _Moved(params.safety.frozen_rad, params.safety.frozen_command_rad)
        self._free_ns = control_ns
        self._near_limits_ns = self._missed_ns = self._strained_ns = _NEVER_NS
        self._looked_ns, self._barrier_ns = control_ns, liveness_ns

    # -- what comes in -------------------------------------------------------------------

    def controller(self, said: Controller) -> bool:
        """Read a controller back; return True if it is another than before."""
        is_another = self._controller is not None and said.boot_id != self._controller.boot_id
        self._controller, self.controller_refusal = said, said.unfit(self._robot, self._safety)
        return is_another

    def supervisor(self, worked_ago_s: float, liveness_ns: int) -> None:
        """The supervisor's heartbeat: what counts is when it last worked; a beat alone only shows a timer."""
        if 0.0 <= worked_ago_s <= self._safety.heartbeat_lost_s:
            self._supervisor_ns = liveness_ns - round(worked_ago_s * 1e9)

    def estop(self, pressed: bool, liveness_ns: int) -> None:
        """The level of the e-stop, as it was said just now."""
        self._is_pressed, self._pressed_ns = pressed, liveness_ns

    def barrier(self, liveness_ns: int) -> None:
        """A lockstep barrier was completed."""
        self._barrier_ns = liveness_ns

    def joints(self, now_ns: int, armed: bool) -> None:
        """A usable joint state: is the arm where it was told to be, and does it move when told to?"""
        if not 0 <= now_ns - self._heard_ns <= self._gap_ns:  # simulated time begins anew with its simulator
            self._steady_ns = now_ns
        self._heard_ns = now_ns
        self._moved.note(self._arm.joints.position[:-1], self._arm.motion.position[:-1], now_ns, anew=not armed)
        proposing = armed and _age_s(self.accepted_ns, now_ns) <= self._period_s
        if self._arm.follows() or not proposing:
            self._free_ns = now_ns
        arm, blocked_s = self._arm, _age_s(self._free_ns, now_ns)
        if not failsafe.is_away(arm.tracking_m, arm.tracking_rad, blocked_s, self._safety):
            self._lost_since_ns = None
        elif self._lost_since_ns is None:
            self._lost_since_ns = now_ns

    def met(self) -> None:
        """The setpoint was put where the arm is."""
        self._lost_since_ns = None

    def no_joints(self) -> None:
        """A joint state that had to be refused: the unbroken run of good ones is over."""
        self._heard_ns = _NEVER_NS

    def armed(self, now_ns: int) -> None:
        """The arm was armed: from now on it is this controller's, and starts at rest."""
        self._armed_with = self._controller.boot_id if self._controller else 0
        self._moved.note(self._arm.joints.position[:-1], self._arm.motion.position[:-1], now_ns, anew=True)

    def new_holder(self) -> None:
        """A change of holder ends the sequence."""
        self.accepted_ns, self.outside_in_a_row, self.is_singular = None, 0, False
        self._answered.clear()

    def period_ended(self, answered: bool, now_ns: int) -> None:
        """One period of the holder's went by, with or without a sound proposal."""
        self._answered.append(answered)
        if not self._missed <= self._safety.missed_slow:
            self._missed_ns = now_ns

    def place(self, now_ns: int) -> None:
        """Where the setpoint is: near a limit of the joints, or of what the arm can do at all?"""
        safety, arm = self._safety, self._arm
        if not (arm.limit_distance_rad >= safety.joint_slow_rad and arm.condition <= safety.condition_slow):
            self._near_limits_ns = now_ns

    # -- what is known -------------------------------------------------------------------

    @property
    def is_tracking_lost(self) -> bool:
        return self._lost_since_ns is not None

    @property
    def _missed(self) -> float:
        """Part of the last second's periods; a sequence that has just begun has missed none before."""
        return self._answered.count(False) / self._window

    def facts(
        self, now_ns: int, liveness_ns: int, *, armed: bool, arming: bool, lease_held: bool, operator_lost: bool
    ) -> Facts:
        """Return what is known now; an unknown age is infinite."""
        self._note_sleep(now_ns)
        if self._controller is not None and self._controller.warning:
            self._strained_ns = now_ns
        controller = self._controller.boot_id if self._controller else 0
        return Facts(
            armed=armed,
            arming=arming,
            estop=self._is_pressed or self._is_cut(liveness_ns),
            stop_requested=self.stop_requested,
            hold_requested=self.hold_requested,
            operator_lost=operator_lost,
            lease_held=lease_held,
            doubled=self.doubled,
            controller_fit=not self.controller_refusal and (arming or controller == self._armed_with),
            supervisor_age_s=_age_s(self._supervisor_ns, liveness_ns),
            joint_age_s=self._arm.joints.age_s(now_ns),
            joints_steady_s=(self._heard_ns - self._steady_ns) / 1e9,
            joint_refusals=self._arm.joints.refused_in_a_row,
            cameras_unsure=sum(map(bool, self.cameras.values())),
            unfit=len(self.unfit),
            joints_frozen_s=0.0 if arming else self._moved.frozen_s(now_ns),  # counted anew from arming on
            tracking_m=self._arm.tracking_m,
            tracking_rad=self._arm.tracking_rad,
            blocked_s=_age_s(self._free_ns, now_ns),
            tracking_lost_s=0.0 if self._lost_since_ns is None else _age_s(self._lost_since_ns, now_ns),
            proposal_age_s=_age_s(self.accepted_ns, now_ns),
            period_s=self._period_s,
            proposals_missed=self._missed,
            outside_in_a_row=self.outside_in_a_row,
            is_singular=self.is_singular,
            near_limits_ago_s=_age_s(self._near_limits_ns, now_ns),
            missed_ago_s=_age_s(self._missed_ns, now_ns),
            strained_ago_s=_age_s(self._strained_ns, now_ns),
            is_lockstep=self._is_lockstep,
            barrier_age_s=_age_s(self._barrier_ns, liveness_ns),
        )

    def _is_cut(self, liveness_ns: int) -> bool:
        """Whether the line of a hardware e-stop is silent: cut, unplugged, or, where there must be one, never there."""
        safety = self._safety
        is_expected = safety.estop_line or self._pressed_ns is not None
        return is_expected and not _age_s(self._pressed_ns, liveness_ns) <= safety.estop_silence_s

    def _note_sleep(self, now_ns: int) -> None:
        """A gate that slept does not accuse the joints of its own gap; it commanded nothing meanwhile."""
        slept_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if not self._is_lockstep and slept_ns > self._safety.joint_state_age_s * 1e9 / 2:
            self._arm.joints.excuse(slept_ns, now_ns)


class _Moved:
    """For how long no joint has moved although the setpoint has."""

    def __init__(self, still_rad: float, told_rad: float) -> None:
        self._still_rad, self._told_rad = still_rad, told_rad
        self._measured = self._told = np.full(1, np.inf)
        self._since_ns: int | None = None

    def note(self, measured_rad: Array, told_rad: Array, now_ns: int, anew: bool = False) -> None:
        """Joints as measured and as told (dof,), at a usable joint state."""
        if anew or not float(np.max(np.abs(measured_rad - self._measured))) <= self._still_rad:
            self._measured, self._told, self._since_ns = measured_rad.copy(), told_rad.copy(), None
        elif self._since_ns is None and float(np.max(np.abs(told_rad - self._told))) > self._told_rad:
            self._since_ns = now_ns

    def frozen_s(self, now_ns: int) -> float:
        return 0.0 if self._since_ns is None else _age_s(self._since_ns, now_ns)


def _age_s(then_ns: int | None, now_ns: int) -> float:
    """Seconds since a moment; infinite if it never was, or was before the clock began anew."""
    return (now_ns - then_ns) / 1e9 if then_ns is not None and then_ns <= now_ns else math.inf
