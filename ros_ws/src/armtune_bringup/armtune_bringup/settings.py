"""The whole config as one value: every group's settings, nested."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_console.settings import ConsoleParams
from armtune_drivers.settings import ArmParams, CameraParams
from armtune_policies.contract import Checked, ConfigError, TaskPair, choice, num, text
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.files import NAME
from armtune_policies.store.flaws import FlawParams
from armtune_policies.store.settings import RecorderParams
from armtune_runtime.settings import LearnerParams, PolicyParams, RewardParams
from armtune_safety.settings import RobotParams, SafetyParams
from armtune_sim.settings import SimParams
from armtune_teleop.settings import TeleopParams


@dataclass(frozen=True, kw_only=True)
class ExperimentParams(Checked):
    """One run: what it is called, what chance it meets, how long it practises."""

    name: str = text("", doc="run id; blank makes one from the task, the date and the time")
    folder: str = text("runs", doc="where runs are kept")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of the world, the demonstrations and the learner")
    workstation: tuple[str, ...] = text((), doc="nodes that run on the workstation, the others on the robot")
    time: str = choice("real", of=("real", "lockstep"), doc="lockstep: simulated time, as fast as it goes; sim only")
    demos: int = num(12, low=1, high=10_000, doc="demonstrations to collect per direction")
    demos_folder: str = text("", doc="run whose demonstrations the learner keeps learning from; blank: an agent's own")
    demo_variation: float = num(1.0, low=0.0, high=1.0, doc="how much the demonstrations' scenes vary: other tables")
    demo_looks: float = num(0.5, low=0.0, high=1.0, doc="how much camera, light, colours and clutter vary there")
    demo_noise: float = num(0.35, low=0.0, high=2.0, doc="noise of the scripted expert, in parts of the action bounds")
    recoveries: int = num(
        0, low=0, high=10_000, doc="spoilt episodes per direction, each followed by a demonstration from where it ended"
    )
    failures: int = num(8, low=0, high=10_000, doc="episodes per direction that fail on purpose, for the reward alone")
    episodes: int = num(0, low=0, high=1_000_000, doc="episodes to practise; 0: no limit")
    steps: int = num(0, low=0, high=100_000_000, doc="control steps to practise; 0: no limit")
    rest_s: float = num(1.0, low=0.0, high=3600.0, doc="pause between episodes, on the wall clock")
    evaluations: int = num(40, low=1, high=10_000, doc="episodes per direction to evaluate on held-out seeds")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and not NAME.fullmatch(self.name):
            raise ConfigError(f"name: expected 1 to 64 of a-z 0-9 _ - , got {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """What ``compose`` returns; one field per group in ``configs/``."""

    robot: RobotParams
    arm: ArmParams
    safety: SafetyParams
    camera: CameraParams
    sim: SimParams
    task: TaskPair
    policy: PolicyParams
    reward: RewardParams
    learner: LearnerParams
    episode: EpisodeParams
    recorder: RecorderParams
    teleop: TeleopParams
    experiment: ExperimentParams
    flaws: FlawParams = text(FlawParams(), doc="not part of the hash: what is counted changes no recording")
    console: ConsoleParams = text(ConsoleParams(), doc="not part of the hash: who looks on changes no data")
