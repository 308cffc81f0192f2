from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.store import files


def test_the_file_holds_the_new_bytes_when_it_existed_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    files.write_whole(path, b"old")
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_the_old_file_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    files.write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no space left to write .*a\.bin \(3 bytes wanted\)") as caught:
        files.write_whole(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_nothing_is_left_when_a_write_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "a.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_sentence_names_the_path_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"cannot write .*file/a"):
        files.write_whole(tmp_path / "file" / "a", b"x")


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": [1, 2.5, None], "a": "é"})
    assert files.read_json(tmp_path / "a.json") == {"b": [1, 2.5, None], "a": "é"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_is_refused_when_a_number_is_not_finite(tmp_path: Path, number: float) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(ValueError, match="not written"):
        files.write_json(path, {"a": number})
    path.write_text(json.dumps({"a": number}))
    with pytest.raises(ValueError, match="finite"):
        files.read_json(path)


def test_json_is_refused_when_it_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1')
    with pytest.raises(ValueError, match=r"a\.json: expected JSON"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["", "A", "-a", "a/b", "..", "a\n", "a" * 65, "a b", "é"])
def test_a_name_is_refused_when_it_is_not_plain(name: str) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64"):
        files.checked_name(name)


@given(st.from_regex(files.NAME, fullmatch=True))
def test_a_plain_name_stays_one_part_of_a_path(name: str) -> None:
    assert Path("root", files.checked_name(name)).parent == Path("root")


def test_a_folder_can_be_brought_back_when_it_was_trashed_twice(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "a").write_text(text)
        went = files.trash(tmp_path / "m")
        assert (went / "a").read_text() == text
    assert not (tmp_path / "m").exists()
    assert len(list((tmp_path / ".trash").iterdir())) == 2
