"""Settings of the nodes that think: policy, reward, learner."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import (
    AS_TRAINED,
    ActionSpec,
    Checked,
    ConfigError,
    ObservationSpec,
    TaskPair,
    choice,
    num,
    text,
)
from armtune_policies.reward.noise import CORRELATION, NONE, PRESETS
from armtune_safety.settings import RobotParams

from .practice_settings import TIMES
from .practice_settings import EpisodeNodeParams as EpisodeNodeParams
from .practice_settings import RecorderNodeParams as RecorderNodeParams

ONLINE, REMOTE = "online", "remote"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True, kw_only=True)
class PolicyParams(Checked):
    """The policy: where its model is, what it sees, and how old what it sees may be."""

    folder: str = text("models/policy", doc="model folder with manifest.json, encoder.onnx, head.onnx")
    cameras: tuple[str, ...] = text(("front",), doc="cameras the policy looks through")
    height_px: int = num(96, low=16, high=512, doc="height of the image the policy sees")
    width_px: int = num(96, low=16, high=512, doc="width of the image the policy sees")
    rate_hz: float = num(5.0, low=5.0, high=50.0, doc="control steps per second")
    max_frame_age_s: float = num(0.3, low=0.01, high=0.3, doc="oldest picture acted on, by arrival")
    max_state_age_s: float = num(0.1, low=0.01, high=0.1, doc="oldest joint state acted on, by arrival")
    frame_wait_s: float = num(0.04, low=0.0, high=0.1, doc="wait this long for a picture newer than the tick; 0: act")
    frozen_frames: int = num(5, low=2, high=100, doc="equal pictures in a row, while the arm moves, that mean frozen")
    lease_s: float = num(2.0, low=0.3, high=10.0, doc="expiry of the lease unless a proposal renews it")
    explore: float = num(
        0.0, low=0.0, high=0.5, doc="noise of practice at first, in parts of the bounds; 0: by the mean"
    )
    explore_last: float = num(0.0, low=0.0, high=0.5, doc="noise of practice in the end")
    explore_episodes: int = num(100, low=1, high=100_000, doc="episodes in which it goes from the one to the other")
    aim_m: float = num(
        0.0, low=0.0, high=0.02, doc="how far off a try of practice is aimed, per failure since the last success [m]"
    )
    aim_most_m: float = num(0.02, low=0.0, high=0.05, doc="the most of it [m], a standard deviation along each axis")
    grip_s: float = num(
        0.6, low=0.0, high=5.0, doc="for so long the gripper stays with what it was told anew [s]; 0: not at all"
    )
    providers: tuple[str, ...] = text(PROVIDERS, doc="execution providers to try; the quickest that is right is taken")
    worker: str = text("", doc="interpreter or socket of an inference worker; blank: a GPU in a child, else here")
    half: bool = text(False, doc="TensorRT may compute in half precision, within 1 % of what it should answer")

    @property
    def action(self) -> ActionSpec:
        return ActionSpec(rate_hz=self.rate_hz)

    @property
    def grip_steps(self) -> int:
        """Control steps of ``grip_s``."""
        return max(round(self.grip_s * self.rate_hz), 1)

    @property
    def observation(self) -> ObservationSpec:
        return ObservationSpec(cameras=self.cameras, height_px=self.height_px, width_px=self.width_px)


@dataclass(frozen=True, kw_only=True)
class RewardParams(Checked):
    """The success classifier: where its model is and how long an answer may take."""

    folder: str = text("models/reward", doc="model folder with manifest.json and reward.onnx")
    threshold: float = num(0.0, low=0.0, high=0.999, doc="probability above which it says yes; 0: the model's own")
    deadline_s: float = num(0.5, low=0.01, high=4.0, doc="no answer by then counts as unknown")
    hang_s: float = num(10.0, low=1.0, high=600.0, doc="a model at work for longer is hung: its process is ended")
    noise: str = choice(
        NONE, of=(NONE, *PRESETS), doc="simulation only: answers made as bad as the paper's, by its task"
    )
    noise_correlation: float = num(CORRELATION, low=0.0, high=0.999, doc="of an error with the same one a step later")
    providers: tuple[str, ...] = text(PROVIDERS, doc="execution providers to try; the quickest that is right is taken")
    worker: str = text("", doc="interpreter or socket of an inference worker; blank: a GPU in a child, else here")
    half: bool = text(False, doc="TensorRT may compute in half precision, within 1 % of what it should answer")


@dataclass(frozen=True, kw_only=True)
class LearnerParams(Checked):
    """The learner process: what it refits, how often, and what it may use of the machine."""

    recipe: str = choice(
        "bc",
        of=("bc", ONLINE, REMOTE),
        doc="bc: cloning of successes; online: policy.folder's agent goes on learning; remote: a workstation learns",
    )
    host: str = text("127.0.0.1", doc="remote: address to serve a workstation on; `armtune learn` asks there")
    port: int = num(8768, low=0, high=65535, doc="remote: its port; 0: any free one")
    token_file: str = text("", doc="remote: file with what a workstation must show; needed beyond this machine")
    tls_cert: str = text("", doc="remote: PEM certificate chain; blank serves without TLS")
    tls_key: str = text("", doc="remote: PEM key of tls_cert")
    more_folders: tuple[str, ...] = text((), doc="run folders of other robots to learn from, too")
    utd: int = num(AS_TRAINED, low=AS_TRAINED, high=100, doc="online: updates owed per control step; -1: as trained")
    failures: int = num(
        AS_TRAINED, low=AS_TRAINED, high=100_000, doc="online: failures in a row that teach; 0: all; -1: as trained"
    )
    device: str = choice("cpu", of=("cpu", "cuda"), doc="online: where it learns; a GPU wants memory_mb raised, too")
    rows: int = num(200_000, low=100, high=100_000_000, doc="online: steps of practice kept; the oldest go first")
    prior_folder: str = text("", doc="online: run with episodes of other tasks the agent was trained on, too")
    refit_every: int = num(4, low=1, high=1000, doc="finished episodes between two refits")
    updates: int = num(300, low=1, high=1_000_000, doc="gradient steps per refit")
    batch: int = num(128, low=2, high=4096, doc="rows per gradient step")
    learning_rate: float = num(3e-4, low=1e-6, high=1e-1, doc="step size of the optimiser")
    pause_unknown: int = num(3, low=1, high=1000, doc="no refit after so many last steps of unknown reward")
    hang_s: float = num(60.0, low=1.0, high=600.0, doc="no sign in so much time of its own: ended and started again")
    restarts: int = num(3, low=0, high=100, doc="how often a dead learner is started again in a run")
    memory_mb: int = num(8192, low=1024, high=1_048_576, doc="address space of the learner process")
    nice: int = num(10, low=0, high=19, doc="how far the learner steps back for control")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recipe == REMOTE and self.host not in LOOPBACK and not self.token_file:
            raise ConfigError(
                f"learner.token_file: expected a file with a secret where {self.host} is served, got none; make one: "
                "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token"
            )


@dataclass(frozen=True, kw_only=True)
class PolicyNodeParams(Checked):
    """What ``policy_node`` is told."""

    policy: PolicyParams
    robot: RobotParams
    task: TaskPair
    run_folder: str = text(doc="of this run; what practice acted by last is taken up from here")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of what practice explores")
    mjcf: str = text(doc="absolute path of the robot's MJCF description")
    time: str = choice("real", of=TIMES, doc="lockstep: pictures and joints of exactly the step's stamp")
    camera_height_px: int = num(480, low=16, high=4096, doc="height of the pictures that arrive")
    camera_width_px: int = num(640, low=16, high=4096, doc="width of the pictures that arrive")


@dataclass(frozen=True, kw_only=True)
class RewardNodeParams(Checked):
    """What ``reward_node`` is told: its model, and the specs it must have been trained for."""

    reward: RewardParams
    policy: PolicyParams
    task: TaskPair
    seed: int = num(0, low=0, high=2**31 - 1, doc="of the noise, where there is one")


@dataclass(frozen=True, kw_only=True)
class LearnerNodeParams(Checked):
    """What ``learner_node`` is told."""

    learner: LearnerParams
    policy: PolicyParams
    run_folder: str = text(doc="of this run: episodes are read there, heads written there")
    demos_folder: str = text("", doc="run with demonstrations to keep learning from; blank: an agent's own")
    carries: bool = text(False, doc="whether the task is of a loose thing, as `task.carries`")
    time: str = choice("real", of=TIMES, doc="lockstep: an episode waits for what is owed")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of the learner")


@dataclass(frozen=True, kw_only=True)
class TransferNodeParams(Checked):
    """What ``transfer_node`` is told."""

    learner: LearnerParams
    run_id: str = text(doc="of this run")
    run_folder: str = text(doc="of this run: episodes are handed out from there, heads arrive there")
    policy_folder: str = text(doc="policy that the run began with: it may be gone back to")
