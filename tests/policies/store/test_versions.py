"""Files of an older or newer version of our messages are read by the types they carry themselves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from armtune_policies.contract import Mode, topics
from armtune_policies.store import schemas
from armtune_policies.store.episode_reader import read_episode
from armtune_policies.store.episode_writer import ABOUT
from armtune_policies.store.salvage import salvage


def other_version() -> tuple[Typestore, dict[str, str]]:
    """Decisions without a lease, with fields we do not know; observations without features; episodes without a hash."""
    changes = {
        "Decision": lambda t: (
            re.sub(r"^uint64 lease.*\n", "", t, flags=re.M) + "\nfloat64[] torque\nstd_msgs/Header more\n"
        ),
        "Observation": lambda t: re.sub(r"^float32\[\] features.*\n", "", t, flags=re.M),
        "EpisodeState": lambda t: re.sub(r"^(string calibration_hash|float64\[\] stands_m).*\n?", "", t, flags=re.M),
    }
    store, texts = get_typestore(Stores.ROS2_JAZZY), {}
    for path in sorted(schemas.message_folder().glob("*.msg")):
        text = re.sub(r"\s*#.*$", "", path.read_text(), flags=re.M)
        store.register(
            get_types_from_msg(changes.get(path.stem, lambda t: t)(text), f"armtune_interfaces/msg/{path.stem}")
        )
    for name in (schemas.OBSERVATION, schemas.DECISION, schemas.EPISODE_STATE):
        texts[name] = store.generate_msgdef(name, ros_version=2)[0]
    return store, texts


def write_other(path: Path, is_finished: bool = True) -> Path:
    store, texts = other_version()
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](1, 0)
    head = types["std_msgs/msg/Header"](stamp, "base_link")
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        writer = Writer(file, use_chunking=False)
        writer.start(profile="ros2")
        writer.add_metadata(ABOUT, {"episode_id": "old-00000"})
        channels = {}
        for topic, name in (
            (topics.OBSERVATION, schemas.OBSERVATION),
            (topics.DECISION, schemas.DECISION),
            (topics.EPISODE_STATE, schemas.EPISODE_STATE),
        ):
            schema = writer.register_schema(name, "ros2msg", texts[name].encode())
            channels[name] = writer.register_channel(topic, "cdr", schema)

        def write(name: str, **fields: object) -> None:
            known = dict(types[name].__dataclass_fields__)
            filled = {
                key: fields.get(key, 0 if "int" in str(field.type) else "")
                for key, field in known.items()
                if key != "__msgtype__"
            }
            writer.add_message(channels[name], 1, bytes(store.serialize_cdr(types[name](**filled), name)), 1)

        pixels = np.full(12, 7, np.uint8)
        image = types["sensor_msgs/msg/Image"](head, 2, 2, "rgb8", 0, 6, pixels)
        state = {"stamp": stamp, "episode_id": "old-00000", "judged_step": -1, "end_step": -1, "index": 0}
        write(schemas.EPISODE_STATE, **state, phase="acting")
        for step in range(2):
            write(
                schemas.OBSERVATION,
                header=head,
                episode_id="old-00000",
                step=step,
                cameras=["front"],
                images=[image],
                state_stamp=stamp,
                state=np.ones(7, np.float32),
            )
            write(
                schemas.DECISION,
                stamp=stamp,
                boot_id=1,
                episode_id="old-00000",
                step=step,
                source="policy",
                seq=1,
                observation_stamp=stamp,
                kind=0,
                proposed=np.full(7, 0.5),
                allowed=np.full(7, 0.25),
                limited_by=["speed"],
                mode=1,
                torque=np.ones(3),
                more=head,
            )
        if is_finished:
            write(schemas.EPISODE_STATE, **{**state, "end_step": 1}, phase="resting", outcome="success")
            writer.finish()
    return path


def test_an_episode_of_another_version_is_read_by_its_own_types(tmp_path: Path) -> None:
    episode = read_episode(write_other(tmp_path / "episodes/old-00000.mcap"))
    assert (episode.outcome, episode.steps, episode.about.calibration_hash) == ("success", 2, "")
    assert episode.about.stands_m == ()
    np.testing.assert_array_equal(episode.allowed, np.full((2, 7), 0.25, np.float32))
    np.testing.assert_array_equal(episode.images["front"], np.full((2, 2, 2, 3), 7, np.uint8))
    assert episode.features.shape == (2, 0) and episode.limited_by == (("speed",),) * 2
    assert list(episode.modes) == [Mode.SLOW] * 2


def test_a_torn_file_of_another_version_is_salvaged(tmp_path: Path) -> None:
    done = salvage(write_other(tmp_path / "episodes/old-00000.mcap.part", is_finished=False))
    assert done.path is not None and done.steps == 2


def test_a_type_text_that_is_none_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        ValueError, match="expected the text of armtune_interfaces/msg/Decision, got one that cannot be"
    ):
        schemas.decode(schemas.DECISION, b"\x00" * 64, "float64 [broken")
