"""What an episode is made of, as plain values beside ``contract.step``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

IDLE, HOMING, NUDGING, READY, ACTING, SHOWING, RESTING, PAUSED, FINISHED = (
    "idle",
    "homing",
    "nudging",
    "ready",
    "acting",
    "showing",
    "resting",
    "paused",
    "finished",
)
SUCCESS, TIMEOUT, ABORTED = "success", "timeout", "aborted"
LIVE = (ACTING, SHOWING)
"""Phases in which steps of an episode are taken: by the policy, or by a person alone."""

PRACTICE, DEMONSTRATION, EVALUATION = "practice", "demonstration", "evaluation"
"""What an episode is recorded for."""
HIDDEN = "hidden while it is evaluated"
"""In place of the name of a policy, where who judges may read it."""
EVALUATIONS = "evaluation"
"""Folder of a run where episodes of evaluation are kept, like a run of its own: nothing that learns looks there."""

SAID_SUCCESS, SAID_FAILURE, DISCARDED, SOLVED = "said_success", "said_failure", "discarded", "solved"
"""Marks of an episode that ended: the operator's own labels, a file that is set aside, and a success that was standing
before the episode began: aborted, never counted, rewarded or learnt from."""
WORDS = {
    SAID_SUCCESS: "success, says the operator",
    SAID_FAILURE: "failure, says the operator",
    DISCARDED: "discarded by the operator",
    SOLVED: "solved at the start",
}
"""What people are told of a mark, as the reason. Files from before there were marks say only that."""

GATE, SCENE, ARM, PERSON = "gate", "scene", "arm", "person"
"""What a pause waits for: the gate, a scene to be laid anew, an arm to be freed, or a person to look."""


@dataclass(frozen=True)
class Raw:
    """A message as it came over the wire."""

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes


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
    since_success: int = 0
    task: str = ""
    direction: str = ""
    sentence: str = ""
    phase: str = IDLE
    judged_step: int = -1
    outcome: str = ""
    end_step: int = -1
    reason: str = ""
    purpose: str = ""
    mark: str = ""
    sets_aside: str = ""
    waits_for: str = ""
    config_hash: str = ""
    calibration_hash: str = ""
    stands_m: tuple[float, ...] = ()
