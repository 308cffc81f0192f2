"""Recordings of other formats become episodes with the numbers they had, in our terms."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import yaml
from crc32c import crc32c
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation
from tfrecord import example_pb2

from armtune_policies.contract import ConfigError, ObservationSpec
from armtune_policies.datasets.contract_file import read_contract
from armtune_policies.datasets.importing import import_folder
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.store.episode_reader import Episode, list_episodes, read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.errors import BadData
from armtune_policies.store.labels import live_labels
from armtune_policies.store.nouns import EpisodeState
from armtune_policies.store.rate import measured_hz
from fixtures.episodes import assert_same, made

SPEC = ObservationSpec(height_px=16, width_px=16)
STEPS = 6
RNG = np.random.default_rng(3)
POSITION, RPY, MOVE = RNG.normal(0, 0.2, (STEPS, 3)), RNG.normal(0, 0.4, (STEPS, 3)), RNG.normal(0, 0.01, (STEPS, 6))
OPENING = np.linspace(0, 1, STEPS)
PICTURES = RNG.integers(0, 255, (STEPS, 32, 24, 3)).astype(np.uint8)


def imported(source: Path, run: Path, contract: str | Path | None, name: str = "foreign") -> list[Episode]:
    import_folder(source, run, name, None if contract is None else read_contract(contract), SPEC)
    return [read_episode(path) for path in list_episodes(run)]


# -- RLDS ----------------------------------------------------------------------------


def masked(data: bytes) -> bytes:
    found = crc32c(data)
    return struct.pack("<I", (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + masked(head) + data + masked(data)


def rlds(folder: Path, episodes: int = 2, closing: bool = False) -> Path:
    """As TFDS writes: each feature one flat list over the steps."""
    folder.mkdir(parents=True)
    records = b""
    for _ in range(episodes):
        example = example_pb2.Example()
        feature = example.features.feature
        action = np.concatenate([MOVE, OPENING[:, None]], 1)
        if closing:
            action[-1] = 0
        state = np.concatenate([POSITION, RPY, OPENING[:, None]], 1)
        feature["steps/observation/state"].float_list.value.extend(state.reshape(-1))
        feature["steps/action"].float_list.value.extend(action.reshape(-1))
        feature["steps/is_last"].int64_list.value.extend([0] * (STEPS - 1) + [1])
        feature["steps/language_instruction"].bytes_list.value.extend([b"put it in the sink"] * STEPS)
        pictures = [cv2.imencode(".png", p[..., ::-1])[1].tobytes() for p in PICTURES]
        feature["steps/observation/image_0"].bytes_list.value.extend(pictures)
        records += framed(example.SerializeToString())
    (folder / "bridge_dataset-train.tfrecord-00000-of-00001").write_bytes(records)
    return folder


@pytest.mark.parametrize("closing", [False, True], ids=["action in every step", "closing observation"])
def test_bridge_as_rlds(tmp_path: Path, closing: bool) -> None:
    episodes = imported(rlds(tmp_path / "bridge", closing=closing), tmp_path / "run", "bridge")
    assert [e.episode_id for e in episodes] == ["foreign-00000", "foreign-00001"]
    one, count = episodes[0], STEPS - closing
    assert (one.steps, one.outcome, one.sentence) == (count, "success", "put it in the sink")
    np.testing.assert_allclose(one.state[:, :3], POSITION[:count], atol=1e-6)
    np.testing.assert_allclose(one.state[:, 3:6], Rotation.from_euler("xyz", RPY[:count]).as_rotvec(), atol=1e-6)
    np.testing.assert_allclose(one.allowed[:, :3], MOVE[:count, :3], atol=1e-7)
    np.testing.assert_allclose(one.allowed[:, 6], OPENING[:count], atol=1e-6)
    assert one.images["front"].shape == (count, 16, 16, 3) and measured_hz(one) == pytest.approx(5.0)
    assert one.metadata["imported_from"] == "bridge 0" and "rate_hz: 5.0" in one.metadata["contract"]


def test_a_damaged_record_is_named_and_what_was_before_it_is_kept(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "bridge")
    file = next(folder.iterdir())
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadData, match=r"tfrecord-00000-of-00001: record 1: expected \d+ bytes with their checksum"):
        imported(folder, tmp_path / "run", "bridge")
    assert len(list_episodes(tmp_path / "run")) == 1


def test_an_import_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "bridge", episodes=3)
    imported(folder, tmp_path / "run", "bridge")
    list_episodes(tmp_path / "run")[-1].rename(tmp_path / "run/episodes/foreign-00002.mcap.part")
    (tmp_path / "run/episodes/foreign-00003.mcap.part").write_bytes(b"")
    again = import_folder(folder, tmp_path / "run", "foreign", read_contract("bridge"), SPEC)
    assert (again.episodes, again.resumed_from) == (1, 2) and len(list_episodes(tmp_path / "run")) == 3
    other = rlds(tmp_path / "another")
    with pytest.raises(ValueError, match="expected episode 2 of another, got bridge 2 of another source"):
        imported(other, tmp_path / "run", "bridge")


def test_an_import_does_not_go_on_with_another_source_of_the_same_name(tmp_path: Path) -> None:
    export([(made(0), live_labels(made(0)))], tmp_path / "a/1.0.0")
    other = made(0, sentence="close the drawer"), made(1, sentence="close the drawer")
    export([(one, live_labels(one)) for one in other], tmp_path / "b/1.0.0")
    imported(tmp_path / "a/1.0.0", tmp_path / "run", None)
    with pytest.raises(ValueError, match=r"got 1\.0\.0 0 of another source, contract or size; import under another"):
        imported(tmp_path / "b/1.0.0", tmp_path / "run", None)
    (tmp_path / "b/1.0.0").rename(tmp_path / "moved")
    folder = tmp_path / "run2"
    imported(tmp_path / "moved", folder, None)
    list_episodes(folder)[-1].unlink()
    (tmp_path / "moved").rename(tmp_path / "again")  # the same bytes in another place are the same source
    assert len(imported(tmp_path / "again", folder, None)) == 2


def test_an_import_touches_no_recording(tmp_path: Path) -> None:
    folder, run = rlds(tmp_path / "bridge", episodes=1), tmp_path / "run"
    writer = EpisodeWriter(run / "episodes", EpisodeState(episode_id="foreign-00001"))
    with pytest.raises(ValueError, match="expected nobody at work on it"):
        imported(folder, run, "bridge")
    writer.abandon()
    with pytest.raises(ValueError, match="expected an import's, got an unfinished recording"):
        imported(folder, run, "bridge")
    assert writer.part.exists() and list_episodes(run) == []
    (run / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match="expected a folder for imports, got a run that was recorded"):
        imported(folder, run, "bridge", name="other")


# -- robomimic -----------------------------------------------------------------------


def robomimic(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for name in ("demo_10", "demo_2"):
            demo = file.create_group(f"data/{name}")
            demo["obs/robot0_eef_pos"] = POSITION
            demo["obs/robot0_eef_quat"] = Rotation.from_euler("xyz", RPY).as_quat()
            demo["obs/robot0_gripper_qpos"] = np.stack([0.04 * OPENING, -0.04 * OPENING], 1)
            demo["obs/agentview_image"] = PICTURES
            demo["actions"] = np.concatenate([MOVE, 1 - 2 * OPENING[:, None]], 1)
            demo["rewards"] = (np.arange(STEPS) >= STEPS - 2).astype(float)
    return path


def test_robomimic(tmp_path: Path) -> None:
    episodes = imported(robomimic(tmp_path / "lift.hdf5"), tmp_path / "run", "robomimic")
    one = episodes[0]
    assert len(episodes) == 2 and (one.outcome, one.end_step, one.steps) == ("success", STEPS - 2, STEPS - 1)
    np.testing.assert_allclose(one.state[:, 6], OPENING[: STEPS - 1], atol=1e-6)
    np.testing.assert_allclose(one.allowed[:, :3], 0.05 * MOVE[: STEPS - 1, :3], atol=1e-7)
    np.testing.assert_allclose(one.allowed[:, 3:6], 0.5 * MOVE[: STEPS - 1, 3:], atol=1e-6)
    np.testing.assert_allclose(one.allowed[:, 6], OPENING[: STEPS - 1], atol=1e-6)
    assert measured_hz(one) == pytest.approx(20.0)


# -- a bag ---------------------------------------------------------------------------

BAG: dict[str, Any] = {
    "rate_hz": 10.0,
    "sentence": {"text": "wipe the table"},
    "state": {
        "position": {"key": "/tool:pose.position"},
        "rotation": {"key": "/tool:pose.orientation", "as": "quat_xyzw"},
        "opening": {"key": "/joints:position", "take": [1]},
    },
    "action": {"kind": "next_state"},
    "images": {"front": "/camera/image"},
    "max_age_s": 0.2,
}


def bag(
    path: Path,
    plugin: StoragePlugin,
    seconds: float = 3.0,
    gap: tuple[float, float] = (9, 9),
    camera: str = "/camera/image",
    clock: Callable[[float, str], float] = lambda t_s, topic: 0.0,
    joints_of: Callable[[int], tuple[list[str], list[float]]] = lambda k: (["a", "f"], [0.0, 0.5]),
) -> Path:
    """A tool that moves at 0.1 m/s, poses at 50 Hz, joints at 100 Hz, a bgr8 camera at 30 Hz with row padding."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types

    def header(t_s: float) -> Any:
        sec, nanosec = divmod(round(t_s * 1e9) + 5_000_000_000, 1_000_000_000)
        return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](int(sec), int(nanosec)), "base")

    with Writer(path, version=9, storage_plugin=plugin) as writer:

        def connect(topic: str, kind: str) -> Any:
            return writer.add_connection(topic, kind, typestore=store)

        tool, joints = (
            connect("/tool", "geometry_msgs/msg/PoseStamped"),
            connect("/joints", "sensor_msgs/msg/JointState"),
        )
        pictures = connect(camera, "sensor_msgs/msg/Image")
        events: list[tuple[float, Any, Any]] = []
        for k in range(int(seconds * 50)):
            pose = types["geometry_msgs/msg/Pose"](
                types["geometry_msgs/msg/Point"](0.1 * k / 50, 0.0, 0.3),
                types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
            )
            head = header(k / 50 + clock(k / 50, "tool"))
            events.append((k / 50, tool, types["geometry_msgs/msg/PoseStamped"](head, pose)))
        for k in range(int(seconds * 100)):
            names, values = joints_of(k)
            head, none = header(k / 100 + clock(k / 100, "joints")), np.zeros(0)
            state = types["sensor_msgs/msg/JointState"](head, names, np.array(values), none, none)
            events.append((k / 100, joints, state))
        for k in range(int(seconds * 30)):
            if not gap[0] <= k / 30 < gap[1]:
                row = np.tile(np.array([k, 0, 255 - k], np.uint8), 8)
                data = np.concatenate([np.concatenate([row, np.zeros(8, np.uint8)]) for _ in range(6)])
                head = header(k / 30 + clock(k / 30, "camera"))
                events.append((k / 30, pictures, types["sensor_msgs/msg/Image"](head, 6, 8, "bgr8", 0, 32, data)))
        for t_s, connection, message in sorted(events, key=lambda event: event[0]):
            writer.write(connection, round((t_s + 100.0) * 1e9), store.serialize_cdr(message, message.__msgtype__))
    return path


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def test_a_bag_of_another_robot(tmp_path: Path, plugin: StoragePlugin) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(BAG))
    (one,) = imported(bag(tmp_path / "bag", plugin), tmp_path / "run", tmp_path / "mine.yaml")
    assert one.sentence == "wipe the table" and measured_hz(one) == pytest.approx(10.0) and one.steps == 29
    np.testing.assert_allclose(one.allowed[:, 0], 0.01, atol=1e-6)
    np.testing.assert_allclose(one.state[:, 0], 0.01 * np.arange(29), atol=0.0021)
    np.testing.assert_allclose(one.state[:, 6], 0.5)
    red, _, blue = one.images["front"][:, 0, 0].T.astype(int)
    assert (red + blue == 255).all() and abs(blue - 3 * np.arange(29)).max() <= 3  # of the time of its step
    assert one.stamps_ns[0] >= 5_000_000_000  # the header's stamps, not when the bag heard it


def test_a_bag_is_cut_where_a_camera_was_silent(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(BAG))
    episodes = imported(
        bag(tmp_path / "bag", StoragePlugin.MCAP, 4.0, (1.0, 2.0)), tmp_path / "run", tmp_path / "mine.yaml"
    )
    assert [e.steps for e in episodes] == [11, 19] and all(e.complete.all() for e in episodes)


CLOCKS: list[tuple[str, Callable[[float, str], float], list[int], int]] = [
    ("one stamp far ahead", lambda t_s, topic: 3600.0 * (topic == "tool" and abs(t_s - 1.0) < 1e-6), [39], 1),
    ("set back", lambda t_s, _: -3.0 if t_s >= 1.0 else 0.0, [9, 29], 0),
    ("set ahead", lambda t_s, _: 3600.0 if t_s >= 1.0 else 0.0, [9, 29], 0),
    ("one topic's own", lambda t_s, topic: 3600.0 * (topic == "tool" and t_s >= 1.0), [9], 31),
]


@pytest.mark.parametrize(("clock", "steps", "left_out"), [one[1:] for one in CLOCKS], ids=[one[0] for one in CLOCKS])
def test_a_clock_that_jumps_costs_what_it_must_and_says_so(
    tmp_path: Path, clock: Callable[[float, str], float], steps: list[int], left_out: int
) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(BAG))
    source = bag(tmp_path / "bag", StoragePlugin.MCAP, 4.0, clock=clock)
    done = import_folder(source, tmp_path / "run", "foreign", read_contract(tmp_path / "mine.yaml"), SPEC)
    episodes = [read_episode(path) for path in list_episodes(tmp_path / "run")]
    assert [one.steps for one in episodes] == steps and abs(done.left_out - left_out) <= 1
    for one in episodes:
        np.testing.assert_allclose(one.allowed[:, 0], 0.01, atol=0.0021)  # 0.1 m/s throughout


def test_joints_are_taken_by_name_or_in_one_order(tmp_path: Path) -> None:
    """A gripper's own publisher on the same topic, or another order, must not become the finger."""
    swapped = lambda k: (["a", "f"], [0.0, 0.5]) if k % 2 else (["f", "a", "b"], [0.5, 0.9, 0.9])  # noqa: E731
    (tmp_path / "place.yaml").write_text(yaml.safe_dump(BAG))
    source = bag(tmp_path / "bag", StoragePlugin.MCAP, joints_of=swapped)
    with pytest.raises(
        BadData, match=r"/joints: name: expected the same joints .*, got a, f after f, a, b; write `joint"
    ):
        imported(source, tmp_path / "run", tmp_path / "place.yaml")
    named = {"key": "/joints:position", "joint": "f"}
    (tmp_path / "name.yaml").write_text(yaml.safe_dump({**BAG, "state": {**BAG["state"], "opening": named}}))
    other = bag(tmp_path / "b", StoragePlugin.MCAP, joints_of=lambda k: swapped(k) if k % 5 else (["wheel"], [0.1]))
    for place, path in enumerate((source, other)):
        (one,) = imported(path, tmp_path / f"run{place}", tmp_path / "name.yaml")
        np.testing.assert_allclose(one.state[:, 6], 0.5)


def test_openings_of_another_scale_are_refused(tmp_path: Path) -> None:
    opening = {"key": "/joints:position", "take": [1], "scale": 1000.0}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**BAG, "state": {**BAG["state"], "opening": opening}}))
    with pytest.raises(
        BadData, match=r"/joints:position: expected openings 0\.\.1; see scale and offset, got 500 to 500"
    ):
        imported(bag(tmp_path / "bag", StoragePlugin.MCAP), tmp_path / "run", tmp_path / "mine.yaml")


def test_a_missing_camera_is_named_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(BAG))
    source = bag(tmp_path / "bag", StoragePlugin.MCAP, camera="/other/image")
    with pytest.raises(
        BadData, match=r"/camera/image: expected messages on this topic, got none; there are .*/other/image"
    ):
        imported(source, tmp_path / "run", tmp_path / "mine.yaml")
    assert list_episodes(tmp_path / "run") == []


# -- LeRobot of another robot, and our own ----------------------------------------------


def test_our_own_lerobot_folder_needs_no_contract_and_keeps_everything(tmp_path: Path) -> None:
    export([(made(0), live_labels(made(0)))], tmp_path / "lerobot")
    (one,) = imported(tmp_path / "lerobot", tmp_path / "run", None, "made")
    assert_same(one, made(0))


def test_a_lerobot_folder_of_another_robot_goes_through_its_contract(tmp_path: Path) -> None:
    export([(made(0, hole=None), live_labels(made(0, hole=None)))], tmp_path / "lerobot")
    contract = {
        "rate_hz": 5, "sentence": {"text": "as told"}, "images": {"left": "wrist"},
        "state": {"position": {"key": "observation.state", "take": [2, 1, 0]}},
        "action": {"kind": "absolute", "position": {"key": "observation.state", "take": [0, 1, 2], "scale": 2.0}},
    }  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(contract))
    (one,) = imported(tmp_path / "lerobot", tmp_path / "run", tmp_path / "c.yaml")
    was = made(0, hole=None)
    np.testing.assert_allclose(one.state[:, :3], was.state[:, [2, 1, 0]])
    np.testing.assert_allclose(one.allowed[:, :3], 2 * was.state[:, :3] - was.state[:, [2, 1, 0]], atol=1e-6)
    np.testing.assert_array_equal(one.images["left"], was.images["wrist"])


# -- contracts that will not do ----------------------------------------------------------

CONTRACTS = [
    ({"rate_hz": 0}, "rate_hz: expected a number above 0, got 0"),
    ({"joints": {}}, "contract: unknown key 'joints'"),
    ({"action": {"kind": "velocity"}}, "action: expected kind of delta, absolute, next_state"),
    ({"state": {"rotation": {"key": "a"}}}, "state: expected position, got none"),
    (
        {"state": {**BAG["state"], "rotation": {"key": "a", "as": "euler"}}},
        "state.rotation: expected as: one of rotvec",
    ),
    ({"state": {"position": {"key": "a", "as": "rpy"}}}, "state.position: unknown key 'as'"),
    ({"state": {"position": {"key": "a", "above": 1}}}, "state.position: unknown key 'above'"),
    ({"images": {"a/b": "x"}}, "images: expected camera names of a-z 0-9 _, got 'a/b'"),
]


@pytest.mark.parametrize(("change", "says"), CONTRACTS, ids=[says[:24] for _, says in CONTRACTS])
def test_a_contract_that_will_not_do_is_refused_by_key(tmp_path: Path, change: Any, says: str) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**BAG, **change}))
    with pytest.raises(ConfigError, match=rf"c.yaml: {says}"):
        read_contract(tmp_path / "c.yaml")


def test_what_cannot_be_imported_says_what_could(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConfigError, match=r"expected a LeRobot v3 folder, a folder of \.tfrecord files"):
        imported(tmp_path / "photos", tmp_path / "run", "bridge")
    with pytest.raises(ConfigError, match="expected a contract that says what its keys mean"):
        imported(tmp_path / "photos", tmp_path / "run", None)
    with pytest.raises(ConfigError, match=r"expected a \.yaml file or one of bridge, "):
        read_contract("nothing")
    with pytest.raises(ValueError, match="name 'a/b': expected 1 to 64"):
        imported(rlds(tmp_path / "b"), tmp_path / "run", "bridge", name="a/b")
