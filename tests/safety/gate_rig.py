"""A gate with a perfect arm behind it: the measured joints are the last setpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from armtune_policies.contract import Decision, Kind, ManualClock, Proposal
from armtune_safety.controller import Controller
from armtune_safety.gate import Gate
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import GateParams

ROOT = Path(__file__).resolve().parents[2]
BOOT = 7
TICK_S = 0.01


def gate_params(time: str = "lockstep", arm: str = "wx250s", **safety: object) -> GateParams:
    """A shipped robot and the shipped safety settings, tightened by ``safety``."""
    robot = yaml.safe_load((ROOT / f"configs/robot/{arm}.yaml").read_text())
    bounds = yaml.safe_load((ROOT / "configs/safety/default.yaml").read_text())
    mjcf = str(ROOT / "configs/robot" / robot["mjcf"])
    return GateParams(robot=robot, safety={**bounds, **safety}, time=time, mjcf=mjcf)


def watched(gate: Gate, params: GateParams) -> Gate:
    """A gate that has read a fit controller back and hears a supervisor, who finds nothing."""
    assert gate.on_controller(Controller.enforcing(params.robot, 0.1)) == ""
    gate.on_supervisor()
    gate.on_health({})
    return gate


class Rig:
    """Steps a gate through control periods by hand."""

    def __init__(self, params: GateParams, kinematics: Kinematics) -> None:
        self.params, self.kinematics = params, kinematics
        self.clock, self.wall = ManualClock(10**9), ManualClock(0)
        self.gate = watched(Gate(params, kinematics, BOOT, self.clock, self.wall), params)
        self.q = np.array([*params.robot.home_rad, params.robot.home_gripper])
        self.names = (*params.robot.joints, params.robot.finger_joint)
        self.seq, self.lease = 0, 0
        self.stuck_at: np.ndarray | None = None
        """Where the arm, or its driver, stays whatever it is told."""
        self.setpoints: list[np.ndarray] = []
        self.alive()

    def alive(self, for_s: float = 1.0) -> None:
        """Joint states without a gap, up to now."""
        self.sense()
        for _ in range(round(for_s / 0.05)):
            self.clock.advance(0.05)
            self.sense()

    def sense(self) -> bool:
        q = self.q if self.stuck_at is None else self.stuck_at
        positions = [*q[:-1], self.params.robot.finger_m(q[-1])]
        return self.gate.on_joints(self.names, positions, self.clock.t_ns)

    def armed(self, source: str = "policy", episode_id: str = "run-00000") -> Rig:
        self.gate.on_supervisor()
        assert self.gate.arm(BOOT) == ""
        self.lease, why = self.gate.acquire(source, episode_id, 5.0)
        assert self.lease, why
        return self

    def proposal(self, values: object, at_step: int, **changes: object) -> Proposal:
        self.seq += 1
        fields = {
            "episode_id": "run-00000",
            "step": at_step,
            "source": "policy",
            "seq": self.seq,
            "lease": self.lease,
            "observation_stamp_ns": self.clock.t_ns,
            "spec_digest": self.gate.spec.digest,
            "policy_version": "v1",
            "kind": Kind.TOOL_DELTA,
            "values": tuple(values),
        }
        return Proposal(**{**fields, **changes})

    def period(self, values: object = None, **changes: object) -> Decision:
        """Run one whole period, with or without a proposal; the arm follows perfectly."""
        tick = self.gate.begin_period(self.clock.t_ns)
        if values is not None:
            self.gate.judge(self.proposal(values, tick.step, **changes))
        for _ in range(round(self.gate.spec.period_s / TICK_S)):
            self.q = self.gate.setpoint(TICK_S)
            self.setpoints.append(self.q)
        decision = self.gate.end_period()
        self.clock.advance(self.gate.spec.period_s)
        self.sense()
        return decision

    def tool(self) -> tuple[np.ndarray, np.ndarray]:
        return self.kinematics.tool_pose(self.q[:-1])
