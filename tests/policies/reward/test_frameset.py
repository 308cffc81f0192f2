from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sets import frame_set

from armtune_policies.reward.frameset import joined, read_frames, write_frames


def test_a_set_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    frames = frame_set([[False, True], [False] * 3], [0, 1])
    write_frames(tmp_path / "f.safetensors", frames)
    back = read_frames(tmp_path / "f.safetensors")
    assert back.questions == frames.questions and back.episodes == frames.episodes and back.kinds == frames.kinds
    for name in ("frame", "question", "is_success", "episode", "step", "kind", "state"):
        assert np.array_equal(getattr(back, name), getattr(frames, name))
    assert np.array_equal(back.images["front"], frames.images["front"])


def test_cameras_come_back_by_name_however_often_a_file_is_read(tmp_path: Path) -> None:
    frames = frame_set([[False, True]])
    some = dict.fromkeys(("wrist", "front", "left", "right", "above"), frames.images["front"])
    write_frames(tmp_path / "f.safetensors", replace(frames, images=some))
    for _ in range(20):
        assert list(read_frames(tmp_path / "f.safetensors").images) == sorted(some)


def test_another_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not this")
    with pytest.raises(ValueError, match="expected a frame set, got another file"):
        read_frames(tmp_path / "x")


def test_joined_sets_keep_each_frame_with_its_answer() -> None:
    a, b = frame_set([[False, True]], kind="demo"), frame_set([[True, True, False]], [1], kind="practice")
    both = joined([a, b])
    assert both.kinds == ("demo", "practice") and both.episodes == ("demo-0", "practice-0")
    assert both.question.tolist() == [0, 0, 1, 1, 1] and both.is_success.tolist() == [False, True, True, True, False]
    assert both.pictures(np.array([4]))["front"][0, 0, 0].tolist() == [0, 2, 0]
    assert both.of_kind("practice").used() == ("practice-0",) and len(both.asked("do it")) == 2


def test_sets_of_other_cameras_are_not_joined() -> None:
    with pytest.raises(ValueError, match="same cameras"):
        joined([])
