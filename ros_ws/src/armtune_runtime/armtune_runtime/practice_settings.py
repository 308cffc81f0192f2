"""Settings of the nodes that practise and record."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, TaskPair, choice, num, text
from armtune_policies.contract.spec import MIN_RATE_HZ
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.settings import RecorderParams
from armtune_safety.settings import RobotParams

TIMES = ("real", "lockstep")


@dataclass(frozen=True, kw_only=True)
class EpisodeNodeParams(Checked):
    """What ``episode_node`` is told."""

    robot: RobotParams
    task: TaskPair
    episode: EpisodeParams = text(EpisodeParams(), doc="when episodes end and the direction flips")
    run_id: str = text(doc="episodes are called <run_id>-<index>")
    run_folder: str = text(doc="of this run; its episode files say which index is next")
    config_hash: str = text("", doc="of the whole config, quoted in every state")
    calibration_hash: str = text("", doc="of what was measured on the robot, quoted likewise; blank: nothing was")
    rest_s: float = num(1.0, low=0.0, high=3600.0, doc="pause between episodes, on the wall clock [s]")
    rate_hz: float = num(MIN_RATE_HZ, low=MIN_RATE_HZ, high=50.0, doc="control steps per second")
    mjcf: str = text("", doc="absolute path of the robot's MJCF description; blank: the arm makes no nudges")
    demos_folder: str = text("", doc="run whose demonstrations show where to push; blank: the policy's")
    policy_folder: str = text("", doc="of the policy it begins with; blank: practice's successes alone show where")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of nudges")
    time: str = choice("real", of=TIMES, doc="lockstep: every step waits for what is judged of it")
    learns: bool = text(False, doc="whether an episode waits until the learner owes nothing")


@dataclass(frozen=True, kw_only=True)
class RecorderNodeParams(Checked):
    """What ``recorder_node`` is told."""

    recorder: RecorderParams = text(RecorderParams(), doc="how episodes are recorded")
    run_folder: str = text(doc="of this run; files go to its episodes folder")
    camera_names: tuple[str, ...] = text(("front",), doc="cameras whose full-size view is kept as evidence")
