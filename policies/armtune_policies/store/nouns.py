"""What an episode is made of, as plain values beside ``contract.step``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

IDLE, HOMING, READY, ACTING, RESTING, PAUSED, FINISHED = (
    "idle",
    "homing",
    "ready",
    "acting",
    "resting",
    "paused",
    "finished",
)
SUCCESS, TIMEOUT, ABORTED = "success", "timeout", "aborted"


@dataclass(frozen=True)
class Observation:
    """Exactly what a policy consumed for one step.

    ``images`` are rgb8, uint8, (H, W, 3) by camera, each with its stamp in
    ``image_stamps_ns`` (``stamp_ns`` where none is given); ``state`` is float32 (7,): tool
    position [m], rotation vector [rad] in ``base_link``, gripper opening 0..1;
    ``features`` float32 (F,) of the frozen encoder, F may be 0.
    """

    episode_id: str
    step: int
    stamp_ns: int
    images: Mapping[str, np.ndarray]
    state: np.ndarray
    features: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    encoder_digest: str = ""
    observation_digest: str = ""
    state_stamp_ns: int = -1
    image_stamps_ns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EpisodeState:
    """Where practice stands; see ``EpisodeState.msg``."""

    stamp_ns: int = 0
    run_id: str = ""
    episode_id: str = ""
    index: int = 0
    task: str = ""
    direction: str = ""
    sentence: str = ""
    phase: str = IDLE
    judged_step: int = -1
    outcome: str = ""
    end_step: int = -1
    reason: str = ""
    config_hash: str = ""
    calibration_hash: str = ""
