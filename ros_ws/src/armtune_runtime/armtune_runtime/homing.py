"""The way home: the pose proposed, and whether the arm is there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from armtune_policies.contract import ActionSpec, Kind, Proposal
from armtune_policies.episode.home import is_near
from armtune_policies.episode.settings import EpisodeParams
from armtune_safety.settings import RobotParams

SOURCE = "motion"


class Homing:
    """Answers ticks with the home pose; the gate limits how fast the joints go there."""

    def __init__(self, robot: RobotParams, params: EpisodeParams, rate_hz: float) -> None:
        self._robot, self._params = robot, params
        self._digest = ActionSpec(rate_hz=rate_hz).digest
        self._seq = 0

    def is_home(self, names: Sequence[str], positions: Sequence[float]) -> bool:
        """Whether joint positions [rad], by name, and the finger [m] are at home; a missing one is not."""
        at, robot = dict(zip(names, positions)), self._robot
        arm = [at.get(name, float("nan")) for name in robot.joints]
        opening = robot.opening(at.get(robot.finger_joint, float("nan")))
        return is_near(arm, robot.home_rad, self._params.home_tolerance_rad) and is_near(
            [opening], [robot.home_gripper], self._params.home_tolerance_gripper
        )

    def proposal(self, episode_id: str, step: int, lease: int) -> Proposal:
        """The home pose as a joint target [rad, opening 0..1], for one tick; it is based on no picture."""
        self._seq += 1
        return Proposal(
            episode_id=episode_id,
            step=step,
            source=SOURCE,
            seq=self._seq,
            lease=lease,
            observation_stamp_ns=0,
            spec_digest=self._digest,
            policy_version="",
            kind=Kind.JOINT_TARGET,
            values=(*self._robot.home_rad, self._robot.home_gripper),
        )
