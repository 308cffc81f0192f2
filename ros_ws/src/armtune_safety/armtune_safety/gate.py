"""The gate: proposals in, setpoints out. No clock of its own, no topics, no logging.

One control period is ``begin_period`` -> ``judge`` -> ``setpoint`` at every tick ->
``end_period``. Refuse, then clamp: ``proposals`` refuses, ``targets`` clamps, ``failsafe``
says how far the arm may go at all, ``arm`` goes there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import PRIORITY, ActionSpec, Clock, Decision, Kind, Mode, Proposal, StepTick

from . import failsafe
from .arm import Arm
from .controller import Controller
from .evidence import Evidence
from .failsafe import Standing
from .kinematics import Kinematics
from .leases import Lease, Leases
from .proposals import Expected, refusal
from .settings import GateParams
from .steps import StepCount
from .targets import Pose, Target, Targets
from .wire import sentence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GateStatus:
    """What the gate tells everyone about itself. ``refusals`` counts "source:reason"."""

    boot_id: int
    mode: Mode
    armed: bool
    reasons: tuple[str, ...]
    latches: tuple[str, ...]
    stop_reason: str
    holder: str
    lease: int
    period_s: float
    action_digest: str
    refusals: dict[str, int]


@dataclass
class _Period:
    """The open control period; ``ref`` is where its tool delta starts, ``mode`` where its proposal was accepted.

    ``sound``: nothing was wrong with a proposal itself, whether or not it was followed.
    """

    tick: StepTick
    ref: Pose
    accepted: Proposal | None = None
    mode: Mode = Mode.STOP
    allowed: Array | None = None
    limited_by: list[str] = field(default_factory=list)
    refused: str = ""
    answered: bool = False
    sound: bool = False


class Gate:
    """The one way to the motors. ``control`` paces motion and ages; ``liveness`` is the wall."""

    def __init__(
        self, params: GateParams, kinematics: Kinematics, boot_id: int, control: Clock, liveness: Clock
    ) -> None:
        self._robot, self._safety, self._kinematics = params.robot, params.safety, kinematics
        self._control, self._liveness = control, liveness
        self.spec, self.boot_id = ActionSpec(rate_hz=params.rate_hz), boot_id
        self._arm = Arm(params.robot, params.safety, kinematics)
        self._targets = Targets(params.robot, params.safety, self.spec, kinematics)
        self._evidence = Evidence(params, self._arm, control.now_ns(), liveness.now_ns())
        self._leases, self._refusals = Leases(boot_id, params.safety.max_lease_s), Counter[str]()
        self._latched: frozenset[str] = frozenset()
        self._armed, self._stop_reason, self.joint_refusal = False, "", ""
        # of the sequence under one lease
        self._lease_id, self._last_seq, self._from_measured = 0, -1, True
        self._steps = StepCount()
        self._period: _Period | None = None

    # -- what is measured ----------------------------------------------------------------

    def on_joints(self, names: Sequence[str], positions: Sequence[float], stamp_ns: int) -> bool:
        """Take a joint state [rad; finger m]; False if it is refused whole (``joint_refusal`` says why)."""
        now_ns = self._control.now_ns()
        # Not while latched: a setpoint that leapt to where the arm merely seems to be would move it after STOP.
        held = self._armed or bool(self._latched)
        self.joint_refusal = self._arm.take(names, positions, stamp_ns, now_ns, held)
        if self.joint_refusal:
            self._refusals["joint_states:unusable"] += 1
            self._evidence.no_joints()
            return False
        self._evidence.joints(now_ns, self._armed)
        return True

    def on_controller(self, said: Controller) -> str:
        """Read back what moves the motors; return "" or why it may not have the arm."""
        if self._evidence.controller(said):
            self._arm.lose()
        return self._evidence.controller_refusal

    def slept(self) -> None:
        """No setpoint went out for so long that the controller holds: go on from where the arm is."""
        self._arm.lose()
        self._from_measured = True
        self._cut("gate slept")

    def on_supervisor(self, worked_ago_s: float = 0.0) -> None:
        """The supervisor's heartbeat, and how long ago it last looked: somebody watches the other nodes."""
        self._evidence.supervisor(worked_ago_s, self._liveness.now_ns())

    def on_cameras(self, said: Mapping[str, str]) -> None:
        """Whether cameras are where they were calibrated: what is wrong with each, blank for nothing."""
        self._evidence.cameras |= {name: why for name, why in said.items() if name in self._evidence.cameras}
        self._standing()

    def on_health(self, unfit: Mapping[str, str]) -> None:
        """What the supervisor finds unfit of this machine, by name: no reason to stop, one not to arm, as not heard."""
        self._evidence.unfit = unfit

    def on_barrier(self) -> None:
        """Lockstep: a barrier was completed."""
        self._evidence.barrier(self._liveness.now_ns())

    # -- what people and the supervisor say ----------------------------------------------

    def arm(self, boot_id: int) -> str:
        """Arm; return "" or why not. The boot id shows that the caller saw this very gate."""
        if boot_id != self.boot_id:
            return f"expected boot id {self.boot_id}, got {boot_id}: the gate has restarted since"
        stops = [rule for rule in self._ask(self._latched, arming=True).rules if rule.mode is Mode.STOP]
        if stops:
            told = ((rule.name, self._detail(rule.name)) for rule in stops)
            reasons = ", ".join(f"{name} ({detail})" if detail else name for name, detail in told)
            is_latched = any(rule.latched for rule in stops)
            then = "mend it, clear each latch by its name, then arm" if is_latched else "try again in a moment"
            return f"cannot arm: {reasons}; {then}"
        if not self._armed:
            self._armed, self._from_measured = True, True
            self._arm.meet()
            self._evidence.armed(self._control.now_ns())
        return ""

    def _detail(self, reason: str) -> str:
        return {
            "controller not read back": self._evidence.controller_refusal,
            "joint states unusable": self.joint_refusal,
            failsafe.UNFIT: sentence(self._evidence.unfit),
            failsafe.MOVED: sentence({name: why for name, why in self._evidence.cameras.items() if why}),
            "joint states not steady yet": f"expected {self._safety.steady_s:g} s of them without a gap",
        }.get(reason, "")

    def stop(self, reason: str) -> None:
        """STOP, latched as "stop requested"; the arm decelerates and holds."""
        self._evidence.stop_requested, self._stop_reason = True, reason
        self._standing()
        self._evidence.stop_requested = False

    def estop(self, pressed: bool) -> None:
        """Level of the e-stop; pressed, or silent once it was heard or where a line must speak, latches STOP."""
        self._evidence.estop(pressed, self._liveness.now_ns())
        self._standing()

    def hold(self, on: bool) -> None:
        """HOLD while ``on``; off also lets others have an arm whose operator was lost."""
        self._evidence.hold_requested = on
        self._leases.operator_lost = self._leases.operator_lost and on

    def doubled(self, topics: int) -> None:
        """How many of the gate's topics have more than one publisher; any holds the arm."""
        self._evidence.doubled = topics

    def clear(self, latch: str) -> str:
        """Clear one latch by its name; return "" or why not. Arming is a further step."""
        if latch not in self._latched:
            return f"no latch {latch!r}; latched: {', '.join(sorted(self._latched)) or 'none'}"
        left = self._ask(self._latched - {latch}, arming=True).latches
        if latch == failsafe.LOST and left == {latch} and self._arm.meet():
            # Lifted by hand, the arm may be where the setpoint has no way to; nothing else ails, and a person looks.
            self._evidence.met()
            left = self._ask(self._latched - {latch}, arming=True).latches
        if latch in left:
            return f"{latch}: still so"
        self._latched = left
        return ""

    # -- leases --------------------------------------------------------------------------

    def acquire(self, source: str, episode_id: str, duration_s: float) -> tuple[int, str]:
        """Ask for the arm; return (lease id, "") or (0, why not)."""
        standing = self._standing()
        if standing.mode is Mode.STOP:
            return 0, f"gate is in STOP: {', '.join(standing.reasons)}"
        return self._leases.acquire(source, episode_id, duration_s, self._control.now_ns())

    def renew(self, lease: int, duration_s: float) -> tuple[int, str]:
        """Keep the arm for longer; return (lease id, "") or (0, why not)."""
        return self._leases.renew(lease, duration_s, self._control.now_ns())

    def release(self, lease: int) -> tuple[int, str]:
        """Give the arm back; return (lease id, "") or (0, why not)."""
        return self._leases.release(lease, self._control.now_ns())

    def holder(self) -> Lease | None:
        """The lease in force. A change of holder ends the sequence and passes HOLD."""
        lease = self._leases.holder(self._control.now_ns())
        if (lease.id if lease else 0) != self._lease_id:
            self._lease_id = lease.id if lease else 0
            self._last_seq, self._from_measured = -1, True
            self._evidence.new_holder()
            if lease:
                self._steps.take_up(lease.episode_id)
        return lease

    # -- one control period --------------------------------------------------------------

    def begin_period(self, stamp_ns: int) -> StepTick:
        """Open a period at ``stamp_ns`` on the control clock; return the tick to publish."""
        if self._period is not None:
            raise RuntimeError("begin_period: the last period is still open; end it first")
        lease = self.holder()
        step = self._steps.next(lease.episode_id if lease else "")
        who = (lease.episode_id, step, lease.source, lease.id) if lease else ("", step, "", 0)
        tick = StepTick(stamp_ns, self.boot_id, *who)
        self._period = _Period(tick, self._arm.target)
        self._evidence.place(self._control.now_ns())
        return tick

    def judge(self, proposal: Proposal) -> bool:
        """Refuse a proposal whole, or clamp it and set out for it; return True if accepted."""
        lease, now_ns, period = self.holder(), self._control.now_ns(), self._period
        want = Expected(
            dof=self._robot.dof,
            digest=self.spec.digest,
            lease=lease,
            tick=period.tick if period else None,
            answered=bool(period and period.accepted),
            last_seq=self._last_seq,
            standing=self._standing(),
        )
        age_s = self._arm.joints.stamp_age_s(proposal.observation_stamp_ns, now_ns)
        name, why = refusal(proposal, want, age_s, self._safety)
        if name or period is None:
            self._refuse(proposal, name, why)
            return False
        period.sound = True
        # A tool delta starts at the last target if the arm follows it, else where the arm is.
        ref = self._arm.target if self._arm.follows() and not self._from_measured else self._arm.measured
        scale = self._safety.slow_scale if want.standing.slow else 1.0
        target = self._targets.allowed(proposal, ref, self._arm.motion.position, scale)
        if objection := self._objection(proposal.kind, target):
            self._refuse(proposal, *objection)
            return False
        self._accept(proposal, period, ref, target, now_ns)
        return True

    def _objection(self, kind: Kind, target: Target) -> tuple[str, str] | None:
        """What is wrong with a target that is inside all limits: (short name, one sentence), or None.

        Each of these ends with the first proposal that leads elsewhere: the arm is never
        trapped. A joint target may pass a singularity, which is one for the tool's motion
        alone: else an arm beyond it would have no way home.
        """
        safety, seen, now = self._safety, self._evidence, self._arm.condition
        seen.outside_in_a_row = seen.outside_in_a_row + 1 if "workspace" in target.limited_by else 0
        there = self._kinematics.condition(target.q_rad)
        seen.is_singular = kind is Kind.TOOL_DELTA and not there <= max(safety.condition_hold, now)
        rules = {rule.name for rule in self._standing().rules}
        if failsafe.WALL in rules:
            return failsafe.WALL, f"{seen.outside_in_a_row} proposals in a row left the workspace; propose one inside"
        if failsafe.SINGULAR in rules:
            why = f"expected a target of condition number up to {safety.condition_hold:g}, got {there:.0f}"
            return failsafe.SINGULAR, why
        if failsafe.UNSTEADY in rules:
            return failsafe.UNSTEADY, "expected a sound proposal in every period of the last second"
        return None

    def _accept(self, proposal: Proposal, period: _Period, ref: Pose, target: Target, now_ns: int) -> None:
        period.ref, period.accepted, period.allowed = ref, proposal, target.allowed
        period.limited_by, period.answered, period.refused = list(target.limited_by), True, ""
        if not self._arm.set_out(target, self.spec.period_s):
            self._cut("no plan")
        self._last_seq, self._evidence.accepted_ns, self._from_measured = proposal.seq, now_ns, False
        period.mode = self._standing().mode
        self._leases.touch(now_ns)

    def _refuse(self, proposal: Proposal, name: str, why: str) -> None:
        source = proposal.source if proposal.source in PRIORITY else "unknown"
        self._refusals[f"{source}:{name}"] += 1
        if self._period and not self._period.accepted:
            tick = self._period.tick
            self._period.refused = f"{source}: {why}"
            self._period.answered |= (proposal.lease, proposal.step) == (tick.lease, tick.step)

    def malformed(self, source: str) -> None:
        """Count a message that is no proposal of this source at all."""
        self._refusals[f"{source}:malformed"] += 1

    def setpoint(self, dt_s: float) -> Array:
        """Return the next setpoint, joints [rad] and opening [1], shape (dof + 1,), ``dt_s`` on.

        Raises:
            RuntimeError: before the first joint state.
        """
        if not self._arm.known:
            raise RuntimeError("setpoint: no joint state has come yet")
        standing = self._standing()
        if standing.mode >= Mode.HOLD:
            self._from_measured = True
            if self._evidence.is_tracking_lost:
                self._arm.give_way()
                self._cut("tracking lost")
            elif failsafe.FROZEN not in standing.latches and self._arm.brake():
                self._cut(standing.reasons[0])
        if self._arm.advance(dt_s):
            self._cut("workspace")
        return self._arm.motion.position.copy()

    def _cut(self, why: str) -> None:
        """The motion ends short of its target: less is commanded than was allowed."""
        if self._period:
            self._period.allowed = None
            self._period.limited_by += [why] if why not in self._period.limited_by else []

    def end_period(self) -> Decision:
        """Close the period; ``allowed`` is the tool delta really commanded (7,)."""
        if (period := self._period) is None:
            raise RuntimeError("end_period: no period is open")
        self._period = None
        allowed, p = period.allowed, period.accepted
        if allowed is None:
            allowed = np.append(self._arm.target.delta_from(period.ref), self._arm.motion.target[-1])
        standing = self._standing()
        mode = standing.mode
        if period.tick.lease and period.tick.lease == self._lease_id and not standing.blocked:
            self._evidence.period_ended(period.sound, self._control.now_ns())
        if p and self._lease_id != period.tick.lease and standing.waits:
            mode = period.mode  # accepted, then the arm was given away: ``limited_by`` says that it braked
        return Decision(
            stamp_ns=period.tick.stamp_ns,
            boot_id=self.boot_id,
            episode_id=period.tick.episode_id,
            step=period.tick.step,
            source=p.source if p else "",
            seq=p.seq if p else 0,
            policy_version=p.policy_version if p else "",
            observation_stamp_ns=p.observation_stamp_ns if p else 0,
            kind=p.kind if p else Kind.TOOL_DELTA,
            proposed=tuple(p.values) if p else (),
            allowed=tuple(float(v) for v in allowed),
            limited_by=tuple(period.limited_by),
            refused=period.refused,
            lease=p.lease if p else 0,
            mode=mode,
        )

    # -- how it stands -------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """True once a joint state has come, and so a setpoint can be given."""
        return self._arm.known

    @property
    def armed(self) -> bool:
        """True from arming until the next STOP."""
        return self._armed

    @property
    def moving(self) -> bool:
        """True while the setpoint moves."""
        return bool(np.any(self._arm.motion.velocity != 0.0))

    @property
    def open_tick(self) -> StepTick | None:
        """The tick of the open period, or None."""
        return self._period.tick if self._period else None

    @property
    def answered(self) -> bool:
        """True once the holder's proposal for the open period was accepted or refused."""
        return bool(self._period and self._period.answered)

    @property
    def blocked(self) -> bool:
        """True when even a good proposal would not move the arm now."""
        return self._standing().blocked

    @property
    def idle(self) -> bool:
        """True when it is armed and merely waits for somebody to hold the arm."""
        return self._standing().waits and self._armed

    def _ask(self, latched: frozenset[str], arming: bool = False) -> Standing:
        held, now_ns, lost = self.holder() is not None, self._control.now_ns(), self._leases.operator_lost
        facts = self._evidence.facts(
            now_ns,
            self._liveness.now_ns(),
            armed=self._armed or arming,
            arming=arming,
            lease_held=held,
            operator_lost=lost,
        )
        return failsafe.decide(facts, self._safety, latched)

    def _standing(self) -> Standing:
        """Ask the table; a STOP disarms and ends every lease."""
        standing = self._ask(self._latched)
        self._latched = standing.latches
        if standing.mode is Mode.STOP and self._armed:
            self._armed = False
            self._leases.end(self._control.now_ns())
            if failsafe.FROZEN in standing.latches:  # once: followed for ever, an arm that sags would sink
                self._arm.give_way()
                self._cut(failsafe.FROZEN)
            standing = self._ask(self._latched)
        return standing

    def state(self) -> GateStatus:
        """Return what is published as ``gate_state``."""
        standing, lease = self._standing(), self.holder()
        return GateStatus(
            boot_id=self.boot_id,
            mode=standing.mode,
            armed=self._armed,
            reasons=standing.reasons,
            latches=tuple(sorted(standing.latches)),
            stop_reason=self._stop_reason if "stop requested" in standing.latches else "",
            holder=lease.source if lease else "",
            lease=lease.id if lease else 0,
            period_s=self.spec.period_s,
            action_digest=self.spec.digest,
            refusals=dict(sorted(self._refusals.items())),
        )
