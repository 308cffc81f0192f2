"""Contract values to message values and back; one table row per kind of message."""

from __future__ import annotations

from typing import Any

import numpy as np

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict

from . import schemas
from .nouns import WORDS, EpisodeState, Observation

Value = Observation | Decision | EpisodeState | RewardAnswer

_STATE_FIELDS = (
    "run_id",
    "episode_id",
    "index",
    "since_success",
    "task",
    "direction",
    "sentence",
    "phase",
    "judged_step",
    "outcome",
    "end_step",
    "reason",
    "purpose",
    "mark",
    "sets_aside",
    "waits_for",
    "config_hash",
    "calibration_hash",
)
_MARKS = {words: mark for mark, words in WORDS.items()}


def encode(value: Value) -> tuple[str, bytes]:
    """Return the type name and the CDR bytes of a contract value.

    Raises:
        ValueError: for an image that is not uint8 (H, W, 3) or a state not of shape (7,).
    """
    message = _BUILD[type(value)](value)
    return message.__msgtype__, schemas.encode(message)


def decode(type_name: str, data: bytes, schema: str = "") -> Value:
    """Return the contract value in CDR bytes; arrays are views of ``data``.

    Args:
        type_name: One of an episode's.
        data: The bytes.
        schema: The text of the type they were written by, where it may be another version of it than ours.

    Raises:
        KeyError: for a type that is not part of an episode.
        ValueError: when the bytes are no such message, or hold a mode, kind or verdict we do not know.
    """
    return _PARSE[type_name](schemas.decode(type_name, data, schema))


def to_stamp(t_ns: int) -> Any:
    return schemas.message(schemas.TIME, sec=int(t_ns // 1_000_000_000), nanosec=int(t_ns % 1_000_000_000))


def to_ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Any:
    return schemas.message(schemas.HEADER, stamp=to_stamp(stamp_ns), frame_id=frame_id)


def observation_message(value: Observation) -> Any:
    state = np.ascontiguousarray(value.state, np.float32)
    if state.shape != (7,):
        raise ValueError(f"observation state: expected shape (7,), got {state.shape}")
    stamps = value.image_stamps_ns
    return schemas.message(
        schemas.OBSERVATION,
        header=header(value.stamp_ns, "base_link"),
        episode_id=value.episode_id,
        step=value.step,
        cameras=list(value.images),
        images=[_image(name, image, stamps.get(name, value.stamp_ns)) for name, image in value.images.items()],
        state_stamp=to_stamp(value.stamp_ns if value.state_stamp_ns < 0 else value.state_stamp_ns),
        state=state,
        features=np.ascontiguousarray(value.features, np.float32),
        encoder_digest=value.encoder_digest,
        observation_digest=value.observation_digest,
    )


def parse_observation(message: Any) -> Observation:
    images, stamps = {}, {}
    for name, image in zip(message.cameras, message.images):
        if image.encoding != "rgb8" or len(image.data) != image.height * image.width * 3:
            raise ValueError(f"image of {name}: expected rgb8, got {image.encoding} with {len(image.data)} bytes")
        images[name] = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        stamps[name] = to_ns(image.header.stamp)
    return Observation(
        episode_id=message.episode_id,
        step=int(message.step),
        stamp_ns=to_ns(message.header.stamp),
        images=images,
        state=np.asarray(message.state, np.float32),
        features=np.asarray(message.features, np.float32),
        encoder_digest=message.encoder_digest,
        observation_digest=message.observation_digest,
        state_stamp_ns=to_ns(message.state_stamp),
        image_stamps_ns=stamps,
    )


def decision_message(value: Decision) -> Any:
    return schemas.message(
        schemas.DECISION,
        stamp=to_stamp(value.stamp_ns),
        boot_id=value.boot_id,
        episode_id=value.episode_id,
        step=value.step,
        source=value.source,
        seq=value.seq,
        policy_version=value.policy_version,
        observation_stamp=to_stamp(value.observation_stamp_ns),
        kind=int(value.kind),
        proposed=np.asarray(value.proposed, np.float64),
        allowed=np.asarray(value.allowed, np.float64),
        limited_by=list(value.limited_by),
        refused=value.refused,
        mode=int(value.mode),
        lease=value.lease,
    )


def parse_decision(message: Any) -> Decision:
    return Decision(
        stamp_ns=to_ns(message.stamp),
        boot_id=int(message.boot_id),
        episode_id=message.episode_id,
        step=int(message.step),
        source=message.source,
        seq=int(message.seq),
        policy_version=message.policy_version,
        observation_stamp_ns=to_ns(message.observation_stamp),
        kind=Kind(int(message.kind)),
        proposed=tuple(float(v) for v in message.proposed),
        allowed=tuple(float(v) for v in message.allowed),
        limited_by=tuple(message.limited_by),
        refused=message.refused,
        mode=Mode(int(message.mode)),
        lease=int(message.lease),
    )


def reward_answer_message(value: RewardAnswer, stamp_ns: int = 0) -> Any:
    return schemas.message(
        schemas.REWARD_ANSWER,
        stamp=to_stamp(stamp_ns),
        episode_id=value.episode_id,
        step=value.step,
        probability=float(value.probability),
        verdict=int(value.verdict),
        model_digest=value.model_digest,
        latency_s=float(value.latency_s),
    )


def parse_reward_answer(message: Any) -> RewardAnswer:
    return RewardAnswer(
        episode_id=message.episode_id,
        step=int(message.step),
        probability=float(message.probability),
        verdict=Verdict(int(message.verdict)),
        model_digest=message.model_digest,
        latency_s=float(message.latency_s),
    )


def episode_state_message(value: EpisodeState) -> Any:
    fields = {name: getattr(value, name) for name in _STATE_FIELDS}
    fields["stands_m"] = np.asarray(value.stands_m, np.float64)
    return schemas.message(schemas.EPISODE_STATE, stamp=to_stamp(value.stamp_ns), **fields)


def parse_episode_state(message: Any) -> EpisodeState:
    fields = {name: getattr(message, name) for name in _STATE_FIELDS}
    fields["mark"] = fields["mark"] or _MARKS.get(fields["reason"], "")  # as older files say it
    fields["stands_m"] = tuple(float(v) for v in message.stands_m)
    return EpisodeState(stamp_ns=to_ns(message.stamp), **fields)


def _image(camera: str, image: np.ndarray, stamp_ns: int) -> Any:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image of {camera}: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    return schemas.message(
        schemas.IMAGE,
        header=header(stamp_ns, f"{camera}_optical"),
        height=image.shape[0],
        width=image.shape[1],
        encoding="rgb8",
        is_bigendian=0,
        step=image.shape[1] * 3,
        data=np.ascontiguousarray(image).reshape(-1),
    )


_BUILD: dict[type, Any] = {
    Observation: observation_message,
    Decision: decision_message,
    EpisodeState: episode_state_message,
    RewardAnswer: reward_answer_message,
}
_PARSE: dict[str, Any] = {
    schemas.OBSERVATION: parse_observation,
    schemas.DECISION: parse_decision,
    schemas.EPISODE_STATE: parse_episode_state,
    schemas.REWARD_ANSWER: parse_reward_answer,
}
