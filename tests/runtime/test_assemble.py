from __future__ import annotations

import array
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_runtime.assemble import Assembler, Bounds, Missing, Refused, StepWait, decode, order

BOUNDS = Bounds(height_px=48, width_px=64, max_frame_age_s=0.3, max_state_age_s=0.1)
NAMES, LOW, HIGH = ("waist", "elbow", "left_finger"), (-3.0, -2.0, 0.0), (3.0, 2.0, 0.04)
REST = (0.1, 0.2, 0.02)
MS = 1_000_000


def picture(seed: int = 0, **change: Any) -> SimpleNamespace:
    """A healthy message of noise; ``change`` replaces fields."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    fields = {"height": 48, "width": 64, "step": 192, "encoding": "rgb8", "data": array.array("B", pixels.tobytes())}
    return SimpleNamespace(**{**fields, **change})


def assembler(*cameras: str) -> Assembler:
    return Assembler(BOUNDS, cameras or ("front",), NAMES, LOW, HIGH)


def filled(t_ns: int = 0) -> Assembler:
    made = assembler()
    made.take_joints(NAMES, REST, t_ns, t_ns)
    made.take_image("front", picture(), t_ns, t_ns)
    return made


DAMAGE = {
    "another height": {"height": 47},
    "another width": {"width": 63},
    "nothing": {"height": 0, "width": 0, "step": 0, "data": array.array("B")},
    "no data": {"data": array.array("B")},
    "one byte short": {"data": array.array("B", bytes(48 * 192 - 1))},
    "one byte more": {"data": array.array("B", bytes(48 * 192 + 1))},
    "narrow rows": {"step": 191},
    "depth": {"encoding": "16UC1"},
    "no encoding": {"encoding": ""},
    "black": {"data": array.array("B", bytes(48 * 192))},
    "white": {"data": array.array("B", b"\xff" * (48 * 192))},
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_frame_is_refused_in_one_sentence_when_damaged(change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        decode(picture(**change), 48, 64)
    assert "\n" not in str(refused.value)


@given(
    height=st.integers(0, 100),
    width=st.integers(0, 100),
    step=st.integers(0, 400),
    encoding=st.text(max_size=6),
    data=st.binary(max_size=400),
)
def test_decoder_only_ever_refuses_when_fields_are_arbitrary(
    height: int, width: int, step: int, encoding: str, data: bytes
) -> None:
    with pytest.raises(Refused):
        decode(SimpleNamespace(height=height, width=width, step=step, encoding=encoding, data=data), 48, 64)


def test_colours_are_swapped_when_the_encoding_is_bgr() -> None:
    rgb, bgr = decode(picture(), 48, 64), decode(picture(encoding="bgr8"), 48, 64)
    assert np.array_equal(rgb, bgr[..., ::-1])


def test_padding_is_left_out_when_rows_are_longer_than_the_picture() -> None:
    tight = decode(picture(), 48, 64)
    rows = np.zeros((48, 200), np.uint8)
    rows[:, :192] = tight.reshape(48, 192)
    padded = picture(step=200, data=array.array("B", rows.tobytes()))
    assert np.array_equal(decode(padded, 48, 64), tight)


@given(st.permutations(list(zip(NAMES, REST))))
def test_joints_come_out_in_order_when_shuffled(pairs: list[tuple[str, float]]) -> None:
    names, positions = zip(*pairs)
    assert order(names, positions, NAMES) == REST


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (NAMES[:2], REST[:2]),
        ((*NAMES, "extra"), (*REST, 0.0)),
        (("waist", "waist", "left_finger"), REST),
        (NAMES, REST[:2]),
    ],
    ids=["missing", "extra", "repeated", "short"],
)
def test_joint_state_is_refused_when_names_do_not_fit(names: tuple[str, ...], positions: tuple[float, ...]) -> None:
    with pytest.raises(Refused):
        order(names, positions, NAMES)


@given(st.integers(0, 2), st.sampled_from([math.nan, math.inf, -math.inf, 3.2, -3.2]))
def test_joint_state_is_refused_when_a_value_is_not_believable(index: int, value: float) -> None:
    positions = [*REST]
    positions[index] = value
    made = assembler()
    with pytest.raises(Refused, match=NAMES[index]):
        made.take_joints(NAMES, positions, 0, 0)
    with pytest.raises(Missing, match="joint state"):
        made.newest(0)


@given(frame_ms=st.integers(0, 1000), state_ms=st.integers(0, 1000))
def test_observation_is_made_only_when_everything_is_within_its_age(frame_ms: int, state_ms: int) -> None:
    made, now_ns = assembler(), 1000 * MS
    made.take_joints(NAMES, REST, 0, now_ns - state_ms * MS)
    made.take_image("front", picture(), 0, now_ns - frame_ms * MS)
    if frame_ms <= 300 and state_ms <= 100:
        assert made.newest(now_ns).age_s == pytest.approx(frame_ms / 1e3)
    else:
        with pytest.raises(Missing, match="within"):
            made.newest(now_ns)


@pytest.mark.fault("F39")
def test_ages_go_by_arrival_when_sender_stamps_lie() -> None:
    made = filled(0)
    made.take_image("front", picture(1), 10**18, 0)
    with pytest.raises(Missing):
        made.newest(400 * MS)


def test_observation_is_missing_when_one_of_two_cameras_never_came() -> None:
    made = assembler("front", "wrist")
    made.take_joints(NAMES, REST, 0, 0)
    made.take_image("front", picture(), 0, 0)
    with pytest.raises(Missing, match="wrist"):
        made.newest(0)


def test_camera_counts_as_stalled_when_three_frames_in_a_row_are_damaged() -> None:
    made = filled()
    for count in range(3):
        made.newest(0)
        with pytest.raises(Refused):
            made.take_image("front", picture(encoding="mono8"), count, 0)
    with pytest.raises(Missing, match="no frame of camera front"):
        made.newest(0)


def test_camera_counts_as_frozen_when_frames_repeat_while_the_arm_moves() -> None:
    made = filled()
    for count in range(6):
        made.take_joints(NAMES, (0.1 + 0.02 * count, 0.2, 0.02), count, 0)
        made.take_image("front", picture(0), count, 0)
    with pytest.raises(Missing, match="repeats one frame"):
        made.newest(0)
    made.take_image("front", picture(1), 7, 0)
    assert made.newest(0)


def test_equal_frames_are_fine_when_the_arm_rests() -> None:
    made = filled()
    for count in range(20):
        made.take_image("front", picture(0), count, 0)
    assert made.newest(0)


def test_step_given_again_is_no_frozen_camera_when_its_joints_come_after_its_picture() -> None:
    """The simulator gives what was not answered again and again: a learner may take half a minute."""
    made = filled()
    for _ in range(30):
        made.take_image("front", picture(1), 1, 0)
        made.take_joints(NAMES, (REST[0] + 0.2, *REST[1:]), 1, 0)
    assert made.at(1, 0)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True))
def test_lockstep_takes_the_exact_stamp_when_several_are_there(stamps: list[int]) -> None:
    made = assembler()
    for stamp in stamps:
        made.take_joints(NAMES, REST, stamp, 0)
        made.take_image("front", picture(stamp), stamp, 0)
    for stamp in stamps:
        assert made.at(stamp, 0).stamp_ns == stamp
    with pytest.raises(Missing, match="stamped 99"):
        made.at(99, 0)


def waiting(made: Assembler, lockstep: bool = False) -> StepWait:
    return StepWait(made, lockstep, frame_wait_s=0.04, period_s=0.2)


def test_step_waits_for_a_newer_frame_when_there_is_time() -> None:
    made = filled(0)
    wait = waiting(made)
    wait.open(0, 10 * MS)
    assert wait.look(20 * MS) is None
    made.take_image("front", picture(1), 25 * MS, 25 * MS)
    seen = wait.look(26 * MS)
    assert seen is not None and seen.stamp_ns == 25 * MS
    assert wait.look(27 * MS) is None


def test_step_acts_on_the_newest_frame_when_waiting_was_in_vain() -> None:
    wait = waiting(filled(0))
    wait.open(0, 10 * MS)
    seen = wait.look(51 * MS)
    assert seen is not None and seen.age_s == pytest.approx(0.051)


def test_step_is_given_up_when_its_period_is_over() -> None:
    wait = waiting(assembler())
    wait.open(0, 0)
    with pytest.raises(Missing, match="joint state"):
        wait.look(50 * MS)
    with pytest.raises(Missing, match="control period"):
        wait.look(201 * MS)
    assert wait.look(202 * MS) is None


def test_step_waits_for_its_own_stamp_when_in_lockstep() -> None:
    made = filled(7)
    wait = waiting(made, lockstep=True)
    assert not wait.open(8, 0)
    with pytest.raises(Missing, match="stamped 8"):
        wait.look(10_000 * MS)
    made.take_joints(NAMES, REST, 8, 0)
    made.take_image("front", picture(8), 8, 0)
    seen = wait.look(10_001 * MS)
    assert seen is not None and seen.stamp_ns == 8


def test_open_step_is_reported_when_the_next_one_comes() -> None:
    wait = waiting(filled())
    assert not wait.open(0, 0)
    assert wait.open(1, 1)
