"""The nouns of one control step, as plain values: what the messages carry, without ROS.

Words: *proposed* (by a source) -> *allowed* (by the gate; the dataset's ``action``) ->
*setpoint* (joint positions) -> *measured*.
"""

from __future__ import annotations

from dataclasses import dataclass

from .modes import Kind, Mode, Verdict


@dataclass(frozen=True)
class StepTick:
    """The gate's step clock: one per control period."""

    stamp_ns: int
    boot_id: int
    episode_id: str
    step: int
    holder: str
    lease: int


@dataclass(frozen=True)
class Proposal:
    """What one source would like the arm to do over one control period.

    ``values`` are read by ``kind``: ``TOOL_DELTA`` as ``ActionSpec`` says, shape (7,);
    ``JOINT_TARGET`` as joint positions [rad] and gripper opening 0..1, shape (dof + 1,).
    """

    episode_id: str
    step: int
    source: str
    seq: int
    lease: int
    observation_stamp_ns: int
    spec_digest: str
    policy_version: str
    kind: Kind
    values: tuple[float, ...]


@dataclass(frozen=True)
class Decision:
    """What the gate made of a period: ``allowed`` is what was really commanded.

    ``proposed`` is empty and ``source`` blank when nothing acceptable came; ``allowed``
    is then the hold. ``limited_by`` names each limit that changed a number; ``refused``
    is the one-sentence reason why a proposal was not considered, or blank; ``lease`` the
    one the proposal was accepted under, 0 for none.
    """

    stamp_ns: int
    boot_id: int
    episode_id: str
    step: int
    source: str
    seq: int
    policy_version: str
    observation_stamp_ns: int
    kind: Kind
    proposed: tuple[float, ...]
    allowed: tuple[float, ...]
    limited_by: tuple[str, ...]
    refused: str
    mode: Mode
    lease: int = 0


@dataclass(frozen=True)
class RewardAnswer:
    """What the reward model says of the observation of one step."""

    episode_id: str
    step: int
    probability: float
    verdict: Verdict
    model_digest: str
    latency_s: float
