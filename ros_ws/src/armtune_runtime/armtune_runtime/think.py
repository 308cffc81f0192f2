"""One control step of a policy: pictures and joints in, a proposal out. Pure."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from armtune_policies.contract import STATE_NAMES, ObservationSpec, StepTick, TaskPair
from armtune_policies.runtime.aim import Aim, shifted
from armtune_policies.runtime.exploration import Exploration
from armtune_policies.runtime.grip import Grip
from armtune_policies.runtime.images import prepare
from armtune_policies.runtime.onlooker import Onlooker
from armtune_policies.runtime.policy import Policy, embedding
from armtune_policies.runtime.providers import Hardware
from armtune_policies.store.manifest import ModelError
from armtune_policies.store.nouns import PRACTICE, EpisodeState, Observation
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import RobotParams

from .assemble import Seen
from .settings import PolicyNodeParams, PolicyParams


@dataclass(frozen=True)
class Thought:
    """What a policy consumed and what it proposes.

    ``images`` rgb8 at policy size by camera, uint8, (H, W, 3); ``state`` float32 (7,) and
    ``features`` float32 (F,) as in ``Observation.msg``; ``proposed`` float32 (7,) as
    ``ActionSpec`` says. ``prepare_s`` and ``inference_s`` say where the time went.
    """

    images: Mapping[str, np.ndarray]
    state: np.ndarray
    features: np.ndarray
    proposed: np.ndarray
    prepare_s: float
    inference_s: float

    def observation(self, tick: StepTick, policy: Policy, seen: Seen) -> Observation:
        """Return what was consumed for a tick (or a message like it), as the recorder keeps it."""
        return Observation(
            episode_id=tick.episode_id,
            step=tick.step,
            stamp_ns=seen.stamp_ns,
            images=self.images,
            state=self.state,
            features=self.features,
            encoder_digest=policy.encoder_digest,
            observation_digest=policy.observation_digest,
            state_stamp_ns=seen.joints.stamp_ns,
            image_stamps_ns={camera: frame.stamp_ns for camera, frame in seen.frames.items()},
        )


class Thinker:
    """Turns what was seen into a thought, and remembers how long it took."""

    def __init__(
        self,
        spec: ObservationSpec,
        robot: RobotParams,
        kinematics: Kinematics,
        exploration: Exploration,
        aim: Aim,
        grip: Grip,
    ) -> None:
        self._spec, self._robot, self._kinematics, self._exploration = spec, robot, kinematics, exploration
        self._aim, self._grip = aim, grip
        self._took_s: deque[tuple[float, float, float]] = deque(maxlen=200)

    @classmethod
    def of(cls, params: PolicyNodeParams) -> Thinker:
        """Return the thinker of a node."""
        p, kinematics = params.policy, Kinematics(params.robot, params.mjcf)
        exploration = Exploration(p.action, p.explore, p.explore_last, p.explore_episodes, params.seed)
        aim = Aim(p.aim_m, p.aim_most_m, params.seed)
        return cls(p.observation, params.robot, kinematics, exploration, aim, Grip(p.grip_steps))

    def think(self, policy: Policy, seen: Seen, episode: EpisodeState, tick: StepTick) -> Thought:
        """Run the policy once, for a step of an episode: by its mean, but that practice explores; see ``Grip``, too.

        ``tick`` (or a message like it) says which step, and under which lease: whoever gets the arm back from another
        is not held to what it wanted before.

        Raises:
            ModelError: for a sentence it does not know, or an answer that is not finite.
        """
        start_s = time.perf_counter()
        size = self._spec.height_px, self._spec.width_px
        images = {camera: prepare(frame.rgb, *size) for camera, frame in seen.frames.items()}
        *joints_rad, finger_m = seen.joints.positions
        opening = float(np.clip(self._robot.opening(finger_m), 0.0, 1.0))
        state = self._kinematics.tool_state(joints_rad, opening)
        ready_s = time.perf_counter()
        features = policy.features(images)
        is_practice = episode.purpose == PRACTICE
        believed = shifted(state, self._aim.off_m(episode.index, episode.since_success)) if is_practice else state
        proposed = policy.propose(features, believed, episode.sentence)
        if is_practice:
            proposed = self._exploration.strayed(proposed, episode.index, tick.step)
        opens = self._grip.held((episode.episode_id, tick.lease), tick.step, float(proposed[-1]))
        proposed = np.append(proposed[:-1], np.float32(opens))
        done_s = time.perf_counter()
        self._took_s.append((ready_s - start_s, done_s - ready_s, seen.age_s))
        return Thought(images, state, features, proposed, ready_s - start_s, done_s - ready_s)

    @property
    def p50_ms(self) -> dict[str, float]:
        """Median milliseconds of the last steps: preparing, inference, age of the frame at the start."""
        names = ("prepare_p50_ms", "inference_p50_ms", "frame_age_p50_ms")
        columns = zip(*self._took_s) if self._took_s else ((0.0,),) * len(names)
        return {name: round(1e3 * median(column), 3) for name, column in zip(names, columns)}


def check_pace(policy: Policy, params: PolicyParams, sentence: str) -> None:
    """Refuse a policy that cannot answer within a control period here, as on the processor where a GPU was wanted.

    Raises:
        ModelError: naming what it runs on.
    """
    images = {name: np.zeros((params.height_px, params.width_px, 3), np.uint8) for name in params.cameras}
    took_s = []
    for _ in range(3):
        start_s = time.perf_counter()
        policy.propose(policy.features(images), np.zeros(len(STATE_NAMES)), sentence)
        took_s.append(time.perf_counter() - start_s)
    if not median(took_s) < params.action.period_s:
        raise ModelError(
            f"{params.folder}: a step takes {1e3 * median(took_s):.0f} ms on {policy.provider}, more than the control "
            f"period of {1e3 * params.action.period_s:.0f} ms; {params.providers[0]} was wanted first, "
            "`armtune doctor` says what there is"
        )


def load_policy(params: PolicyParams, task: TaskPair) -> Policy:
    """Verify and load the policy, warmed up, and make sure that it knows both sentences; without a folder, look on.

    Raises:
        ModelError: in one sentence.
    """
    if not params.folder:
        return Onlooker(params.observation)
    hardware = Hardware(params.providers, params.worker, params.half, params.action.period_s / 2)
    policy = Policy.load(Path(params.folder), params.action, params.observation, hardware.open_session)
    for sentence in (task.forward, task.backward):
        embedding(policy.sentences, sentence)
    check_pace(policy, params, task.forward)
    return policy
