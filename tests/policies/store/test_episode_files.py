"""Episode files: what is written is what is read, by us and by two other readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mcap_ros2.reader import read_ros2_messages
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store import records, schemas
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import EpisodeState, Observation

ABOUT = EpisodeState(
    stands_m=(0.3, -0.1),
    episode_id="run-00000",
    run_id="run",
    task="drawer",
    direction="forward",
    sentence="open it",
    config_hash="c0ffee",
)


def observation(step: int) -> Observation:
    image = np.full((4, 6, 3), step, np.uint8)
    image[0, 0] = (1, 2, 3)
    state = np.arange(7, dtype=np.float32) + step
    return Observation(
        "run-00000", step, step * 200_000_000, {"front": image}, state, np.ones(5, np.float32), "enc", "o"
    )


def decision(step: int, proposed: tuple[float, ...] = (0.01,) * 7, kind: Kind = Kind.TOOL_DELTA) -> Decision:
    limits = ("speed",) if step == 1 else ()
    source = "policy" if proposed else ""
    return Decision(
        step * 200_000_000,
        9,
        "run-00000",
        step,
        source,
        step,
        "v1",
        0,
        kind,
        proposed,
        (0.02,) * 7,
        limits,
        "",
        Mode.RUN,
    )


def answer(step: int, verdict: Verdict) -> RewardAnswer:
    return RewardAnswer("run-00000", step, 0.25, verdict, "reward", 0.01)


def write(folder: Path, steps: int = 3) -> Path:
    with EpisodeWriter(folder / "episodes", ABOUT, {"seed": "7"}) as episode:
        for step in range(steps):
            verdict = Verdict.YES if step == steps - 1 else Verdict.NO
            episode.add_step(observation=observation(step), decision=decision(step), answer=answer(step, verdict))
        return episode.close("success", end_step=steps - 1)


def test_arrays_equal_what_was_written_when_read_back(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert list_episodes(tmp_path) == [path]
    episode = read_episode(path)
    assert episode.steps == 3 and episode.complete.all()
    np.testing.assert_array_equal(episode.images["front"], np.stack([observation(k).images["front"] for k in range(3)]))
    np.testing.assert_array_equal(episode.state, np.stack([observation(k).state for k in range(3)]))
    assert episode.features.shape == (3, 5) and episode.features.dtype == np.float32
    np.testing.assert_allclose(episode.allowed, 0.02)
    np.testing.assert_allclose(episode.proposed, 0.01)
    assert list(episode.verdicts) == [Verdict.NO, Verdict.NO, Verdict.YES]
    assert list(episode.stamps_ns) == [0, 200_000_000, 400_000_000]
    assert episode.limited_by == ((), ("speed",), ())
    assert (episode.outcome, episode.end_step, episode.policy_version) == ("success", 2, "v1")
    assert (episode.direction, episode.sentence) == ("forward", "open it")
    assert episode.metadata["config_hash"] == "c0ffee" and episode.metadata["seed"] == "7"
    assert not episode.intervention.any()


def test_rosbags_reads_every_message_without_our_types_when_given_the_file(tmp_path: Path) -> None:
    with AnyReader([write(tmp_path)]) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        messages = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]
    assert counts == {"observation": 3, "decision": 3, "reward_answer": 3, "episode_state": 2}
    assert len(messages) == 11
    with Reader(tmp_path / "episodes" / "run-00000.mcap") as plain:
        assert plain.message_count == 11


def test_mcap_ros2_decodes_every_message_when_given_the_file(tmp_path: Path) -> None:
    seen = [(m.channel.topic, m.ros_msg) for m in read_ros2_messages(str(write(tmp_path)))]
    assert len(seen) == 11
    last = [message for topic, message in seen if topic == "observation"][-1]
    assert bytes(last.images[0].data[3:6]) == bytes([2, 2, 2])


def test_type_hashes_equal_the_compiled_ones_when_computed_from_our_texts() -> None:
    for type_name in schemas.STEP_TOPICS.values():
        compiled = (schemas.message_folder() / f"{type_name.rsplit('/', 1)[1]}.json").read_text()
        assert schemas.typestore().hash_rihs01(type_name) in compiled


def test_checkout_and_environment_agree_when_both_hold_the_messages() -> None:
    checkout = Path(__file__).parents[3] / "ros_ws/src/armtune_interfaces/msg"
    for path in checkout.glob("*.msg"):
        assert (schemas.message_folder() / path.name).read_text() == path.read_text(), "run `make build`"


def test_row_is_marked_when_a_part_of_it_never_came(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(0), decision=decision(0))
        episode.write(decision(1), 1)
        episode.add_step(observation=observation(2), decision=decision(2, proposed=()))
        path = episode.close("timeout", end_step=3)
    read = read_episode(path)
    assert list(read.complete) == [True, False, True, False]
    assert np.isnan(read.state[1]).all() and np.isnan(read.proposed[2]).all()
    assert read.sources == ("policy", "policy", "", "")
    assert list(read.verdicts) == [Verdict.UNKNOWN] * 4 and np.isnan(read.probabilities).all()


def test_joint_targets_are_not_taken_for_tool_deltas_when_read(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(0), decision=decision(0, kind=Kind.JOINT_TARGET))
        path = episode.close("aborted", end_step=0)
    assert np.isnan(read_episode(path).proposed).all()


def test_raw_bytes_are_kept_exactly_when_written_raw(tmp_path: Path) -> None:
    data = schemas.encode(
        schemas.message(schemas.COMPRESSED_IMAGE, header=_header(), format="jpeg", data=np.arange(9, dtype=np.uint8))
    )
    with EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(0), decision=decision(0))
        episode.write_raw("front/image_raw/compressed", schemas.COMPRESSED_IMAGE, 5, data)
        path = episode.close("timeout", end_step=0)
    with Reader(path) as reader:
        kept = [raw for c, _, raw in reader.messages() if c.topic == "front/image_raw/compressed"]
    assert kept == [data]


def test_other_readers_open_the_file_when_a_clock_went_back(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(0), decision=decision(0))
        episode.write(answer(0, Verdict.NO), 5_000_000_000)
        episode.write(answer(1, Verdict.NO), 4_000_000_000)
        path = episode.close("timeout", end_step=0)
    with AnyReader([path]) as reader:
        times = [log_ns for _, log_ns, _ in reader.messages()]
    assert times == sorted(times) and len(times) == 6


def test_only_a_part_is_there_when_the_episode_is_not_closed(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episodes", ABOUT)
    writer.add_step(observation=observation(0), decision=decision(0))
    assert [p.name for p in (tmp_path / "episodes").iterdir()] == ["run-00000.mcap.part"]
    assert list_episodes(tmp_path) == []
    writer.discard()
    assert list((tmp_path / "episodes").iterdir()) == []


def test_nothing_stays_when_the_block_is_left_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected step 1"), EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(1), decision=decision(0))
    assert list((tmp_path / "episodes").iterdir()) == []


def test_writer_refuses_when_the_episode_is_there_already(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(FileExistsError, match="used once"):
        EpisodeWriter(tmp_path / "episodes", ABOUT)


def test_writer_refuses_when_the_id_would_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="episode_id"):
        EpisodeWriter(tmp_path / "episodes", EpisodeState(episode_id="../evil"))


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_observation_is_refused_when_an_image_is_not_rgb8(tmp_path: Path, image: np.ndarray) -> None:
    bad = Observation("run-00000", 0, 0, {"front": image}, np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="uint8"), EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=bad, decision=decision(0))


def test_reader_refuses_in_one_sentence_when_pictures_change_size(tmp_path: Path) -> None:
    small = Observation("run-00000", 1, 1, {"front": np.zeros((2, 2, 3), np.uint8)}, np.zeros(7, np.float32))
    with EpisodeWriter(tmp_path / "episodes", ABOUT) as episode:
        episode.add_step(observation=observation(0), decision=decision(0))
        episode.add_step(observation=small, decision=decision(1))
        path = episode.close("timeout", end_step=1)
    with pytest.raises(ValueError, match=r"run-00000\.mcap: expected the same cameras and sizes"):
        read_episode(path)


def test_reader_refuses_in_one_sentence_when_the_file_is_another_mcap(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(b"\x89MCAP0\r\n")
    with pytest.raises(ValueError, match="expected an episode file"):
        read_episode(path)
    path.write_bytes(b"not an mcap file")
    with pytest.raises(ValueError, match="expected an MCAP file"):
        read_episode(path)


def _header() -> object:
    stamp = schemas.message(schemas.TIME, sec=0, nanosec=5)
    return schemas.message(schemas.HEADER, stamp=stamp, frame_id="front_optical")


@pytest.mark.parametrize("cut", [0, 3, 4, 9, 40])
def test_message_is_refused_when_its_bytes_are_cut(cut: int) -> None:
    type_name, data = records.encode(decision(0))
    with pytest.raises(ValueError, match="expected a armtune_interfaces"):
        records.decode(type_name, data[:cut])
