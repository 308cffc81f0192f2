"""The arm's own motions, home and nudges, as proposals: one for each tick, none once the motion is over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec, Kind, Proposal
from armtune_policies.episode.motion import Leg, Route, WayHome
from armtune_policies.episode.settings import EpisodeParams
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import RobotParams

SOURCE = "motion"
LETTING_GO_S = 6.0
"""A hand that has not opened by then goes home as it is."""

Floats = npt.NDArray[np.float64]


class Motions:
    """Answers ticks on the way home, or along a route; the gate limits how fast the joints go there.

    Args:
        robot: The arm.
        params: When it is at home.
        rate_hz: Control periods per second.
        mjcf: Description of the arm, blank where it is not known: then it cannot nudge.

    Raises:
        FileNotFoundError, ValueError: from the description.
    """

    def __init__(self, robot: RobotParams, params: EpisodeParams, rate_hz: float, mjcf: str = "") -> None:
        self._robot, self._params, self._rate_hz = robot, params, rate_hz
        self._spec, self._seq = ActionSpec(rate_hz=rate_hz), 0
        self._kinematics = Kinematics(robot, mjcf) if Path(mjcf).is_file() else None
        self._route: Route | None = None
        self.go_home()

    def go_home(self) -> None:
        """Set out for home: let go first, wherever the hand is."""
        p, home = self._params, [*self._robot.home_rad, self._robot.home_gripper]
        patience = round(LETTING_GO_S * self._rate_hz)
        self._way = WayHome(home, p.home_tolerance_rad, p.home_tolerance_gripper, patience)
        self._route = None

    def follow(self, legs: Sequence[Leg]) -> bool:
        """Set out along a route; return whether this arm can."""
        if self._kinematics is not None:
            self._route = Route(legs, self._spec.low, self._spec.high)
        return self._kinematics is not None

    @property
    def passed(self) -> tuple[tuple[float, ...], ...]:
        """The states (7,) that ended the legs of the route so far."""
        return tuple(tuple(map(float, state)) for state in self._route.passed) if self._route is not None else ()

    def joints(self, names: Sequence[str], positions: Sequence[float]) -> Floats:
        """Return joints [rad] and the opening 0..1, in our order, (dof + 1,); NaN where one is missing."""
        at = dict(zip(names, positions))
        arm = [at.get(name, float("nan")) for name in self._robot.joints]
        return np.array([*arm, self._robot.opening(at.get(self._robot.finger_joint, float("nan")))])

    def is_home(self, measured: Floats) -> bool:
        """Whether the arm is at home; a joint that is missing is not."""
        return self._way.is_there(measured)

    def off_home(self, measured: Floats) -> str:
        """Return how far from home the arm is, to be read after "home was not reached"."""
        off_rad, name = max(zip(np.abs(measured[:-1] - self._robot.home_rad).tolist(), self._robot.joints))
        opening = f"the hand {measured[-1]:.2f} open, expected {self._robot.home_gripper:g}"
        return f" ({name} is {off_rad:.2f} rad off, {opening})"

    def proposal(self, episode_id: str, step: int, lease: int, measured: Floats) -> Proposal | None:
        """Return what to do in one tick, based on no picture; None when the motion is over."""
        if self._route is None or self._kinematics is None:
            if self.is_home(measured):
                return None
            kind, values = Kind.JOINT_TARGET, self._way.target(measured)
        else:
            tool = self._kinematics.tool_state(measured[:-1], float(np.clip(measured[-1], 0.0, 1.0)))
            delta = self._route.delta(np.asarray(tool, float))
            if delta is None:
                return None
            kind, values = Kind.TOOL_DELTA, np.asarray(delta, float)
        self._seq += 1
        return Proposal(
            episode_id=episode_id,
            step=step,
            source=SOURCE,
            seq=self._seq,
            lease=lease,
            observation_stamp_ns=0,
            spec_digest=self._spec.digest,
            policy_version="",
            kind=kind,
            values=tuple(float(value) for value in values),
        )
