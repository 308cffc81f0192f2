"""Full-size views: what goes into the file comes out of it, by every kind of compression, beside its step."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from armtune_policies.contract import Decision, Kind, Mode, topics
from armtune_policies.store import records, schemas
from armtune_policies.store.encoding import Decoder
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.filming import WAITING, Filming
from armtune_policies.store.mcap_scan import entries
from armtune_policies.store.nouns import EpisodeState, Observation
from armtune_policies.store.ring import save_fault
from armtune_policies.store.settings import COMPRESSIONS, RecorderParams
from armtune_policies.store.views import read_views

STEPS, PERIOD_NS = 8, 200_000_000


def frame(step: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, its brightness says which it is."""
    rows = np.linspace(0, 60, height).astype(np.uint8)[:, None, None]
    return np.broadcast_to(rows + np.uint8(20 * step), (height, width, 3)).copy()


def image(
    step: int, encoding: str = "rgb8", stamp_ns: int | None = None, pixels: np.ndarray | None = None, pad: int = 0
) -> bytes:
    pixels = frame(step) if pixels is None else pixels
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, width * (pixels.size // max(height * width, 1))), ((0, 0), (0, pad)))
    head = records.header(step * PERIOD_NS if stamp_ns is None else stamp_ns, "front_optical")
    return schemas.encode(schemas.message(
        schemas.IMAGE, header=head, height=height, width=width, encoding=encoding, is_bigendian=0, step=rows.shape[1],
        data=rows.reshape(-1),
    ))  # fmt: skip


def film(filming: Filming, count: int) -> list:
    found: list = []
    while len(found) < count:
        found += filming.ready()
        time.sleep(0.001)
    return found


def episode(folder: Path, filming: Filming, name: str, frames: range, every: bool = False) -> Path:
    """Record an episode, a frame a step."""
    values = (0.0,) * 7
    with EpisodeWriter(folder / "episodes", EpisodeState(episode_id=name, run_id="run")) as writer:
        for step, at in enumerate(frames):
            stamp_ns = at * PERIOD_NS
            filming.on_frame("front", image(at % STEPS, stamp_ns=stamp_ns), at)
            filming.on_step(name, step, {"front": stamp_ns}, at)
            seen = Observation(name, step, stamp_ns, {"front": frame(at % STEPS, 16, 16)}, np.zeros(7, np.float32))
            writer.add_step(observation=seen, decision=Decision(
                0, 1, name, step, "policy", 0, "", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN,
            ))  # fmt: skip
            for raw, *_ in film(filming, 1 + (every and step == 0)):
                writer.write_raw(raw.topic, raw.type_name, raw.stamp_ns, raw.data)
        return writer.close("success", len(frames) - 1)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("every", [False, True], ids=["a step", "every frame"])
def test_views_come_back_beside_their_steps(tmp_path: Path, compression: str, every: bool) -> None:
    filming = Filming(("front",), RecorderParams(compression=compression, every_frame=every, jpeg_quality=95))
    episode(tmp_path, filming, "run-00000", range(7), every)
    path = episode(tmp_path, filming, "run-00001", range(1000, 1000 + STEPS), every)  # not the camera's first
    views = read_views(path)
    assert list(views["front"]) == list(range(STEPS))
    for step, view in views["front"].items():
        assert view.shape == (48, 64, 3) and np.abs(view.astype(int) - frame(step)).mean() < (
            0.1 if compression == "raw" else 4
        )
    with AnyReader([path]) as reader:  # and other readers know the types
        kinds = {c.topic: c.msgtype for c in reader.connections}
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
    assert topics.image("front") in " ".join(kinds) and filming.cost_ms >= 0 and filming.lost == 0


def test_video_is_as_foxglove_wants_it(tmp_path: Path) -> None:
    """A frame a message, Annex B, parameter sets with the first, and a decoder that starts there."""
    filming = Filming(("front",), RecorderParams(compression="h264", every_frame=True))
    for step in range(3):
        filming.on_frame("front", image(step), step)
    messages = [schemas.decode(raw.type_name, raw.data) for raw, *_ in film(filming, 3)]
    assert [m.format for m in messages] == ["h264"] * 3 and messages[1].timestamp.nanosec == PERIOD_NS
    data = [bytes(m.data) for m in messages]
    kinds = [unit[0] & 31 for unit in data[0].replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]]
    assert data[0].startswith((b"\0\0\0\1", b"\0\0\1")) and {7, 8, 5} <= set(kinds)  # SPS, PPS, IDR


@pytest.mark.fault("F36")
def test_a_camera_faster_than_its_compression_loses_frames_and_says_so() -> None:
    filming = Filming(("front",), RecorderParams(every_frame=True))
    gate = threading.Event()
    camera = filming._cameras["front"]
    camera.pool.submit(gate.wait, 20)
    for step in range(WAITING + 3):
        filming.on_frame("front", image(0), step)
    assert filming.lost == 3 and "frames of front are lost" in filming.trouble
    gate.set()
    assert len(film(filming, WAITING)) == WAITING
    filming.close()


@pytest.mark.parametrize("compression", ("jpeg", "h264"))
def test_the_last_view_is_owed_until_it_is_compressed_and_a_stop_waits_for_it(compression: str) -> None:
    filming = Filming(("front",), RecorderParams(compression=compression))
    gate = threading.Event()
    filming._cameras["front"].pool.submit(gate.wait, 20)
    filming.on_frame("front", image(0), 0)
    filming.on_step("run-00000", 0, {"front": 0}, 0)
    assert filming.is_owed("run-00000") and not filming.is_owed("run-00001") and filming.ready() == []
    gate.set()
    filming.settle()
    assert [step for *_, step in filming.ready()] == [0] and not filming.is_owed("run-00000")
    filming.close()


ENCODINGS = {
    "bgr8": frame(3)[..., ::-1],
    "rgba8": np.dstack([frame(3), np.full((48, 64), 9, np.uint8)]),
    "mono8": frame(3)[..., :1],
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_encodings_and_padded_rows_are_the_same_picture(encoding: str) -> None:
    filming = Filming(("front",), RecorderParams(every_frame=True, jpeg_quality=100))
    filming.on_frame("front", image(0, encoding, pixels=ENCODINGS[encoding], pad=8), 0)
    ((raw, *_),) = film(filming, 1)
    (shown,) = Decoder()(raw.type_name, schemas.decode(raw.type_name, raw.data))
    assert np.abs(shown.astype(int) - frame(3)).mean() < 1 and not filming.trouble


BAD = {
    "jpeg": (image(0, "mono16"), "encoding mono16, which is none of rgb8"),
    "h264": (image(0, pixels=frame(0, 47)), "47 rows of 64 pixels, and h264 needs even numbers"),
    "hevc": (image(0, pixels=np.zeros((0, 64, 3), np.uint8)), "0 bytes for 0 rows"),
}


@pytest.mark.parametrize("compression", BAD)
def test_a_frame_that_cannot_be_kept_is_counted_and_said_until_the_next_episode(compression: str) -> None:
    filming = Filming(("front",), RecorderParams(every_frame=True, compression=compression))
    bad, says = BAD[compression]
    filming.on_frame("front", bad, 0)
    filming.on_frame("front", image(1), 1)
    assert len(film(filming, 1)) == 1 and filming.lost == 1
    assert filming.trouble.startswith("1 frames of front are lost: ") and says in filming.trouble
    filming.on_step("run-00001", 0, {"front": PERIOD_NS}, 2)
    assert filming.trouble == "" and filming.lost == 1


def test_beside_a_step_is_the_frame_that_the_policy_saw() -> None:
    """Not the newest when the observation is heard, and not a wrong one where it never came."""
    filming = Filming(("front",), RecorderParams())
    for ms in (0, 33, 66):
        filming.on_frame("front", image(0, stamp_ns=ms * 1_000_000), ms)
    filming.on_step("run-00000", 0, {"front": 33_000_000}, 70)
    filming.on_step("run-00000", 1, {"front": 233_000_000}, 270)  # comes after its observation
    filming.on_frame("front", image(1, stamp_ns=233_000_000), 271)
    filming.on_step("run-00000", 2, {"front": 433_000_000}, 470)  # was lost on its way
    filming.on_frame("front", image(2, stamp_ns=600_000_000), 601)
    found = film(filming, 2)
    stamps = [schemas.decode(raw.type_name, raw.data).header.stamp.nanosec // 1_000_000 for raw, *_ in found]
    assert stamps == [33, 233] and [step for *_, step in found] == [0, 1]
    assert filming.trouble == "1 frames of front are lost: what the policy saw did not come here"


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_fault_file_begins_each_video_where_it_can_be_shown(tmp_path: Path, codec: str) -> None:
    filming = Filming(("front",), RecorderParams(compression=codec, every_frame=True))
    for at in range(40):
        filming.on_frame("front", image(at % STEPS, stamp_ns=at * PERIOD_NS), at)
    raws = [raw for raw, *_ in film(filming, 40)][3:]  # the ring forgot the first, a key frame
    path = save_fault(tmp_path, "lost", 0, raws)
    kept = [schemas.decode(entry.type_name, entry.data) for entry in entries(path) if entry.topic]
    assert len(kept) == 10 and len(Decoder()(schemas.COMPRESSED_VIDEO, kept[0])) == 1
