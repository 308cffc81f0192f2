"""The world behind the gate, in one process: what lockstep does over ROS, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from armtune_policies.contract import ActionSpec, Checked, Decision, Direction, Kind, ManualClock, Proposal
from armtune_policies.contract.paths import config_root
from armtune_policies.episode.motion import Leg, Route, WayHome
from armtune_policies.store.files import read_yaml
from armtune_safety.controller import Controller
from armtune_safety.gate import Gate
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import GateParams, RobotParams, SafetyParams

from .settings import SimParams
from .world import TICK_NS, World

_SOURCE, _LEASE_S = "policy", 10.0
_SEEN_EVERY_NS = 50_000_000
_HOME_RAD, _HOME_GRIPPER = 0.02, 0.1


class GatedWorld:
    """A world whose arm moves only through the gate, one control period at a time.

    Raises:
        FileNotFoundError: the description of the arm is not there.
        ConfigError: there is no such task.
    """

    def __init__(
        self, task: str, sim: SimParams | None = None, gate: GateParams | None = None, world: World | None = None
    ) -> None:
        self.params = gate or default_gate()
        self.world = world or World(Path(self.params.mjcf), task, sim or SimParams())
        self.spec = ActionSpec(rate_hz=self.params.rate_hz)
        self.kinematics = Kinematics(self.params.robot, self.params.mjcf, self.params.safety.joint_margin_rad)
        self._clock = ManualClock()
        self._names = (*self.params.robot.joints, self.params.robot.finger_joint)
        self._ticks = round(self.spec.period_s * 1e9 / TICK_NS)
        self._lease = self._seq = self.lifts = 0
        self._wake()

    def reset(self, seed: int, direction: Direction) -> None:
        """Make the scene of a seed, arm at home."""
        self.world.reset(seed, direction)
        self._wake()

    def begin(self, episode_id: str) -> None:
        """Start an episode in the scene as it is; steps count from 0 under another id than before.

        Raises:
            RuntimeError: when the gate will not lend the arm, saying why.
        """
        if why := self._take(episode_id):
            raise RuntimeError(f"gate: {why}")

    @property
    def is_stopped(self) -> bool:
        """Whether the gate stopped, and waits for a person."""
        return not self._gate.armed

    def step(self, values: ArrayLike, policy_version: str = "") -> Decision:
        """Propose a tool delta (7,), let the gate judge it, and follow its setpoints for one period."""
        return self._period(Kind.TOOL_DELTA, values, policy_version)

    def home(self, limit_s: float = 6.0) -> None:
        """Let go of what the hand holds where it is, then bring the arm home through the gate.

        Carried along, a thing would end under the home pose after every failure, where no demonstration begins.
        Where the gate has stopped, or does not bring it home in time, a person is called, who lifts the arm home by
        hand, leaves the objects as they are and arms again; ``lifts`` counts it. Either way the arm is lent then.
        """
        home = [*self.params.robot.home_rad, self.params.robot.home_gripper]
        patience = round(limit_s * self.params.rate_hz)
        way = WayHome(home, _HOME_RAD, _HOME_GRIPPER, patience)
        self._take("")
        for _ in range(2 * patience):
            if self.is_stopped or way.is_there(self.world.joints_measured()):
                break
            self._period(Kind.JOINT_TARGET, way.target(self.world.joints_measured()), "")
        if not way.is_there(self.world.joints_measured()) or self._take(""):
            self.lifts += 1
            self.world.lift_home()
            self._wake()

    def follow(self, legs: Sequence[Leg]) -> list[NDArray[np.floating]]:
        """Bring the arm home, then its hand along a route; return the states (7,) that ended the legs."""
        self.home()
        route = Route(legs, self.spec.low, self.spec.high)
        while not self.is_stopped and (delta := route.delta(self.state())) is not None:
            self.step(delta)
        return route.passed

    def state(self) -> NDArray[np.float32]:
        """Return ``observation.state``, shape (7,)."""
        joints = self.world.joints_measured()
        return self.kinematics.tool_state(joints[:-1], float(np.clip(joints[-1], 0, 1)))

    def reach(self, joints: NDArray[np.float64], limit_s: float) -> bool:
        """Bring the joints (dof + 1,) there through the gate; return whether they came there in time."""
        for _ in range(round(limit_s * self.params.rate_hz)):
            if self.is_stopped or self._is_at(joints):
                break
            self._period(Kind.JOINT_TARGET, joints, "")
        return self._is_at(joints) and not self.is_stopped

    def _take(self, episode_id: str) -> str:
        """Ask the gate for the arm; return why not, blank when it lends it. Asked, it may find that it has to stop."""
        if self._lease:
            self._gate.release(self._lease)
        self._lease, why = self._gate.acquire(_SOURCE, episode_id, _LEASE_S)
        return why

    def _is_at(self, joints: NDArray[np.float64]) -> bool:
        gap = np.abs(self.world.joints_measured() - joints)
        return bool(gap[:-1].max() < 0.02 and gap[-1] < 0.1)

    def _period(self, kind: Kind, values: ArrayLike, policy_version: str) -> Decision:
        stamp_ns = self._see()
        tick = self._gate.begin_period(stamp_ns)
        self._gate.judge(
            Proposal(
                episode_id=tick.episode_id,
                step=tick.step,
                source=_SOURCE,
                seq=self._seq,
                lease=tick.lease,
                observation_stamp_ns=stamp_ns,
                spec_digest=self.spec.digest,
                policy_version=policy_version,
                kind=kind,
                values=tuple(float(v) for v in np.asarray(values, float)),
            )
        )
        self._seq += 1
        setpoints = [self._gate.setpoint(TICK_NS / 1e9) for _ in range(self._ticks)]
        decision = self._gate.end_period()
        for setpoint in setpoints:
            self.world.tick(setpoint)
        self._see()
        return decision

    def _see(self, before_ns: int = 0) -> int:
        """Tell the gate where the arm is, was a moment before; return the time [ns]."""
        stamp_ns = self.world.time_ns - before_ns
        self._clock.set_ns(stamp_ns)
        joints = self.world.joints_measured()
        joints[-1] = self.params.robot.finger_m(joints[-1])
        self._gate.on_joints(self._names, joints.tolist(), stamp_ns)
        return stamp_ns

    def _wake(self) -> None:
        """A fresh gate, armed: a scene that jumps is a new world to it, seen for as long as it asks."""
        steady_ns = round(self.params.safety.steady_s * 1e9)
        self._clock.set_ns(self.world.time_ns - steady_ns)
        self._gate = Gate(self.params, self.kinematics, 1, self._clock, ManualClock())
        self._gate.on_controller(Controller.enforcing(self.params.robot, self.params.safety.controller_silence_s))
        self._gate.on_supervisor()
        self._gate.on_health({})
        self._lease = self._seq = 0
        for before_ns in range(steady_ns, -1, -_SEEN_EVERY_NS):
            self._see(before_ns)
        if why := self._gate.arm(1):
            raise RuntimeError(f"gate: {why}")
        self.begin("")


def default_gate(robot: str = "wx250s", safety: str = "default", rate_hz: float = 5.0) -> GateParams:
    """Return the gate's settings from the config groups, for use without a composed config."""
    arm = _group(RobotParams, "robot", robot)
    mjcf = config_root() / "robot" / arm.mjcf
    limits = _group(SafetyParams, "safety", safety)
    return GateParams(robot=arm, safety=limits, rate_hz=rate_hz, time="lockstep", mjcf=str(mjcf))


def _group(kind: type[Checked], group: str, name: str) -> Any:
    return kind.from_mapping(read_yaml(config_root() / group / f"{name}.yaml"))
