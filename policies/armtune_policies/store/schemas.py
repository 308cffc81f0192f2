"""Our message types without ROS: a rosbags type store made from our own ``.msg`` texts.

Episode files can so be written and read on any machine that has Python; nothing here
imports rclpy. The texts come from the installed ``armtune_interfaces`` or the checkout.
"""

from __future__ import annotations

import functools
import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from armtune_policies.contract import topics

PACKAGE = "armtune_interfaces"
OBSERVATION = f"{PACKAGE}/msg/Observation"
DECISION = f"{PACKAGE}/msg/Decision"
EPISODE_STATE = f"{PACKAGE}/msg/EpisodeState"
REWARD_ANSWER = f"{PACKAGE}/msg/RewardAnswer"
GATE_STATE = f"{PACKAGE}/msg/GateState"
JOINT_STATE = "sensor_msgs/msg/JointState"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
TIME = "builtin_interfaces/msg/Time"
HEADER = "std_msgs/msg/Header"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"

_VIDEO_TEXT = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
"""Foxglove's schema for one frame of a video stream (docs.foxglove.dev, CompressedVideo)."""

STEP_TOPICS = {
    topics.OBSERVATION: OBSERVATION,
    topics.DECISION: DECISION,
    topics.REWARD_ANSWER: REWARD_ANSWER,
    topics.EPISODE_STATE: EPISODE_STATE,
}
"""Topic -> type of what an episode is made of; named as live, without the namespace."""


def message_folder() -> Path:
    """Return the folder of our ``.msg`` texts: the installed one, else the checkout's.

    Raises:
        FileNotFoundError: when neither is there.
    """
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    candidates = [Path(prefix) / "share" / PACKAGE / "msg" for prefix in prefixes if prefix]
    candidates += [parent / "ros_ws" / "src" / PACKAGE / "msg" for parent in Path(__file__).resolve().parents]
    for folder in candidates:
        if (folder / "Observation.msg").is_file():
            return folder
    raise FileNotFoundError(f"no {PACKAGE} messages found under {candidates[0]}; install {PACKAGE} (`make build`)")


@functools.cache
def typestore() -> Typestore:
    """ROS 2 Jazzy's common types and ours. The first call takes 0.1 s: call it before time counts."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(_VIDEO_TEXT, COMPRESSED_VIDEO))
    for path in sorted(message_folder().glob("*.msg")):
        # A comment after a string constant would become part of its value.
        text = re.sub(r"\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
        store.register(get_types_from_msg(text, f"{PACKAGE}/msg/{path.stem}"))
    return store


@functools.cache
def definition(type_name: str) -> str:
    """The text an MCAP ``ros2msg`` schema carries: the type and all nested ones."""
    return typestore().generate_msgdef(type_name, ros_version=2)[0]


def message(type_name: str, **fields: Any) -> Any:
    """A message value of ``type_name``; all fields are given, by name."""
    return typestore().types[type_name](**fields)


def encode(value: Any) -> bytes:
    """The CDR bytes of a message value."""
    return bytes(typestore().serialize_cdr(value, value.__msgtype__))


def decode(type_name: str, data: bytes, schema: str = "") -> Any:
    """The message value in CDR bytes; its arrays are views of ``data``, not copies.

    With the ``schema`` text that the bytes were written by, a message of an older or newer version of
    our types becomes one of ours: fields we do not know are left out, those it lacks are zero or blank.

    Raises:
        ValueError: when the bytes are no such message.
    """
    is_ours = not schema or schema == definition(type_name)
    store = typestore() if is_ours else _embedded(type_name, schema)
    try:
        value = store.deserialize_cdr(data, type_name)
    except (SerdeError, struct.error, IndexError) as why:
        raise ValueError(f"expected a {type_name}, got {len(data)} bytes that are none: {why}") from None
    return value if is_ours else _upgraded(value, type_name)


@functools.cache
def _embedded(type_name: str, schema: str) -> Typestore:
    """The types that a file carries itself."""
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(get_types_from_msg(schema, type_name))
    except (TypesysError, SyntaxError, KeyError) as why:
        raise ValueError(f"expected the text of {type_name}, got one that cannot be read: {why}") from None
    return store


def _upgraded(value: Any, type_name: str) -> Any:
    """``value`` as a message of our ``type_name``, whatever version it is of."""
    return message(type_name, **{
        name: _as_ours(getattr(value, name, None), kind) for name, kind in typestore().fielddefs[type_name][1]
    })  # fmt: skip


def _as_ours(value: Any, kind: Any) -> Any:
    """A field's value as ours; None becomes zero, blank or empty."""
    node, detail = kind
    if node == Nodetype.BASE:
        zero: Any = "" if detail[0] == "string" else 0
        return zero if value is None else value
    if node == Nodetype.NAME:
        return _upgraded(value, detail)
    element, size = detail
    if element[0] == Nodetype.NAME:
        return [_upgraded(one, element[1]) for one in value] if value is not None else []
    if element[1][0] == "string":
        return list(value) if value is not None else []
    width = size if node == Nodetype.ARRAY else 0
    return value if value is not None else np.zeros(width, np.dtype(element[1][0]))
