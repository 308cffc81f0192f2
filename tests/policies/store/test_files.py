from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.store import files
from armtune_policies.store.edits import edit_path
from armtune_policies.store.labels import label_path
from armtune_policies.store.reviews import review_path


def test_the_file_holds_the_new_bytes_when_it_existed_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    files.write_whole(path, b"old")
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.fault("F33")
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


@pytest.mark.fault("F34")
def test_nothing_is_left_when_a_write_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "a.bin", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", (files.whole_file, files.whole_folder))
def test_what_killed_writers_left_goes_and_what_others_write_stays(tmp_path: Path, make: Any) -> None:
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = int(killed.stdout)
    stays = {f".a[1].bin.{os.getppid()}.part", f".a[1].bin.b.{gone}.part", f".a1.bin.{gone}.part", ".a[1].bin.x.part"}
    for name in (*stays, f".a[1].bin.{gone}.part", f".a[1].bin.{10**20}.part"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / f".a[1].bin.{gone + 10**20}.part/deep").mkdir(parents=True)
    with make(tmp_path / "a[1].bin") as part:
        part.mkdir(exist_ok=True) if make is files.whole_folder else part.write_bytes(b"new")
        assert {path.name for path in tmp_path.iterdir()} == {part.name, *stays}
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].bin", *stays}


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


LOOK_ALIKES = ["é", "\uff41", "\u0430", "a\u0301", "a\u200b", "a\u202eb", "\u2024\u2024", "a\u2215b", "\u00b9"]


@pytest.mark.fault("F57")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "-a",
        "a/b",
        "a\\b",
        ".",
        "..",
        ".a",
        "/a",
        "a\n",
        "\na",
        "a\0",
        "a\0b",
        "a" * 65,
        "a b",
        "é",
        *LOOK_ALIKES,
    ],
)
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


def _renewed(path: Path, text: str) -> None:
    with files.whole_folder(path, is_renewed=True) as part:
        (part / "a").write_text(text)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_that_is_renewed_leaves_the_old_one_in_the_trash(
    tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    for text in ("one", "two", "three"):
        _renewed(tmp_path / "m", text)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("a")}
    assert found == {"m/a": "three", ".trash/m.1/a": "one", ".trash/m.2/a": "two"}


@pytest.mark.fault("F33")
@pytest.mark.parametrize("can_exchange", [True, False])
def test_old_folder_is_there_when_the_new_one_cannot_have_its_name(
    tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _renewed(tmp_path / "m", "one")
    real = Path.replace

    def fails(*named: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    def replace(self: Path, target: Path) -> Path:
        is_new = target.name == "m" and self.name.endswith(".part")
        return fails() if is_new else real(self, target)  # type: ignore[return-value]

    monkeypatch.setattr(files, "exchange", fails if can_exchange else lambda one, other: False)
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="Input/output error"):
        _renewed(tmp_path / "m", "two")
    assert [path.read_text() for path in tmp_path.rglob("a")] == ["one"] and (tmp_path / "m/a").exists()


EVIL = ("..", "../x", "/etc/passwd", "a\0", "a\n", "\uff41", "a/../../b")


@pytest.mark.fault("F57")
@pytest.mark.parametrize("name", EVIL)
def test_no_path_is_made_of_a_name_from_elsewhere(tmp_path: Path, name: str) -> None:
    for make in (
        lambda: label_path(tmp_path, name, "live"),
        lambda: label_path(tmp_path, "e", name),
        lambda: edit_path(tmp_path, name),
        lambda: review_path(tmp_path, name),
    ):
        with pytest.raises(ValueError, match="expected 1 to 64"):
            make()


@pytest.mark.fault("F57")
def test_nothing_is_deleted_and_no_link_is_followed_when_a_folder_is_trashed(tmp_path: Path) -> None:
    outside, store = tmp_path / "outside", tmp_path / "store"
    outside.mkdir(), store.mkdir()
    (outside / "precious").write_text("here")
    (store / "m").symlink_to(outside)
    went = files.trash(store / "m")
    assert went.is_symlink() and (outside / "precious").read_text() == "here" and not (store / "m").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_only_a_plain_file_is_read(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises((ValueError, OSError), match=r"expected a plain file|Is a directory"):
        files.read_capped(tmp_path / "x", 10)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert files.read_capped(tmp_path / "x", 5) == b"12345"
    with pytest.raises(ValueError, match="at most 4 bytes, got 5"):
        files.read_capped(tmp_path / "x", 4)


def test_plain_yaml_says_what_it_says() -> None:
    assert files.parse_yaml("a: [1, 2.5, x]\nb: {c: null}\n", "it") == {"a": [1, 2.5, "x"], "b": {"c": None}}
    with pytest.raises(ValueError, match="it: expected YAML") as caught:
        files.parse_yaml("a: [1\nb: 2", "it")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_yaml_or_refused_in_one_sentence(text: str) -> None:
    try:
        files.parse_yaml(text, "it")
    except ValueError as why:
        assert "\n" not in str(why)
