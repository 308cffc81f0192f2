"""What the arm's own log proves: where the tool was, and whether the oracle found a rule broken."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract.paths import config_root
from armtune_safety import rotations
from armtune_safety.kinematics import Kinematics
from armtune_sim.motion_log import MotionLog, read
from armtune_sim.oracle import Event, Oracle

JITTER_S = 0.03
"""How old the setpoint of a tick may be: the gate ticks at 100 Hz, on a machine that others use too."""
GAP_NS = 300_000_000


class Witness:
    """Judges one run's ``arm.csv`` under one config's limits. Times are steady nanoseconds."""

    def __init__(self, path: Path, config: Any) -> None:
        self._path, self._safety = path, config.safety
        mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
        self._kinematics = Kinematics(config.robot, mjcf, config.safety.joint_margin_rad)
        self._oracle = Oracle(config.robot, config.safety, self._kinematics, jitter_s=JITTER_S)

    def log(self, since_ns: int) -> MotionLog:
        return read(self._path).between(since_ns, 2**63 - 1)

    def tool_m(self, since_ns: int) -> np.ndarray:
        """Where the tool was measured (n, 3) [m]."""
        return np.array([p for p, _ in self._poses(since_ns)])

    def tool_angle_rad(self, since_ns: int) -> np.ndarray:
        """How far the tool was turned from its reference (n,) [rad]."""
        centre = rotations.exp(self._safety.tool_reference_rad)
        return np.array([rotations.angle_rad(centre, r) for _, r in self._poses(since_ns)])

    def _poses(self, since_ns: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._kinematics.tool_pose(row) for row in self.log(since_ns).measured[::5, :-1]]

    def violations(self, since_ns: int, events: tuple[Event, ...] = ()) -> list[str]:
        """What the oracle says was broken since a moment; without events, of the limits alone.

        A log with a gap is judged in pieces: a simulator that was killed begins anew, at home; one that hung goes on
        to brake if it was stopped meanwhile.
        """
        marks = events or (Event(since_ns - 1, "armed"),)
        whole = self.log(since_ns)
        cuts = [0, *(np.flatnonzero(np.diff(whole.t_ns) > GAP_NS) + 1).tolist(), len(whole.t_ns)]
        found = []
        for start, end in pairwise(cuts):
            if end - start < 2:
                continue
            first, last = int(whole.t_ns[start]), int(whole.t_ns[end - 1])
            before = [mark for mark in marks if mark.t_ns < first]
            # What was true before the piece is true at its first row; armed a moment earlier, for that row may move.
            inside = [Event(first - (before[-1].kind == "armed"), before[-1].kind)] if before else []
            inside += [mark for mark in marks if first <= mark.t_ns <= last]
            found += self._oracle.judge(whole.between(first, last + 1), inside)
        return [f"{v.rule}: {v.text} at {v.t_ns}" for v in found]
