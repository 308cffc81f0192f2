"""However a transfer is cut, repeated, muddled or damaged: what gets its name is the file, and it does get there."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.store.shelf import (
    EPISODES,
    HEADS,
    INCOMING,
    MAX_PARTS,
    Damaged,
    Inbox,
    Item,
    Shelf,
    checked,
    item_of,
)

FILES = {
    "episodes/run-00000.mcap": b"first episode" * 7,
    "episodes/run-00001.mcap": b"",
    "edits/run-00000.json": b"{}",
    "labels/run-00000/operator.json": b'{"a": 1}',
}
BESIDE = ("episodes/run-00002.mcap.part", "models/head/head.onnx", "practice.json", "episodes/film.mp4", "logs/a.json")


def offered(root: Path) -> Shelf:
    for name, data in {**FILES, **dict.fromkeys(BESIDE, b"stays")}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return Shelf(root)


def send(shelf: Shelf, inbox: Inbox, item: Item, count: int = 5) -> None:
    """What a sender does that is not disturbed."""
    held, tries = inbox.held(item), 0
    while held < item.size_bytes:
        held = inbox.take(item, held, shelf.read(item.path, held, count))
        assert (tries := tries + 1) < 1000


def arrived(root: Path) -> dict[str, bytes]:
    names = [p for p in root.rglob("*") if p.is_file() and INCOMING not in p.parts]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in names}


DEEDS = st.tuples(
    st.sampled_from(["next", "next", "next", "again", "ahead", "damaged", "killed", "unnamed", "torn"]),
    st.integers(0, len(FILES) - 1), st.integers(1, 40),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(DEEDS, max_size=40))
def test_whatever_happens_on_the_way_each_file_arrives_whole_and_none_is_ever_wrong(
    deeds: list[tuple[str, int, int]],
) -> None:
    with TemporaryDirectory() as folder:
        here, there = Path(folder, "robot"), Path(folder, "workstation")
        shelf, inbox = offered(here), Inbox(there)
        items = shelf.items()
        assert {item.path for item in items} == set(FILES)
        for deed, which, count in deeds:
            item = items[which]
            held = inbox.held(item)
            at = {"again": max(held - count, 0), "ahead": held + count}.get(deed, held)
            data = shelf.read(item.path, at, count)
            if deed == "killed":
                inbox = Inbox(there)
            elif deed == "unnamed" and held < item.size_bytes:  # killed between its last piece and its name
                (there / INCOMING).mkdir(parents=True, exist_ok=True)
                (there / INCOMING / f"{item.sha256}.part").write_bytes(FILES[item.path])
            elif deed == "torn":  # a power cut: what was written last is not what was sent
                for part in (there / INCOMING).glob("*.part"):
                    part.write_bytes(part.read_bytes()[:-1] + b"?")
            else:
                try:
                    inbox.take(item, at, bytes(255 - b for b in data) if deed == "damaged" else data)
                except Damaged:
                    assert not (there / item.path).exists() or inbox.held(item) == item.size_bytes
            assert all(FILES[name] == data for name, data in arrived(there).items())
        for item in items:
            for _ in range(2):  # what was damaged unseen is found out at its end, and sent anew
                try:
                    send(shelf, inbox, item)
                except Damaged:
                    continue
        assert arrived(there) == FILES and not list((there / INCOMING).glob("*.part"))


def test_sidecar_that_changed_is_replaced_and_an_episode_of_the_same_name_is_refused(tmp_path: Path) -> None:
    here, there = tmp_path / "robot", tmp_path / "workstation"
    shelf, inbox = offered(here), Inbox(there)
    for item in shelf.items():
        send(shelf, inbox, item)
    (here / "edits/run-00000.json").write_text(json.dumps({"episode_id": "run-00000", "is_dropped": True}))
    (here / "episodes/run-00000.mcap").write_bytes(b"of another run")
    edit, episode = (
        next(i for i in shelf.items() if i.path == name) for name in ("edits/run-00000.json", "episodes/run-00000.mcap")
    )
    send(shelf, inbox, edit)
    assert b"is_dropped" in (there / "edits/run-00000.json").read_bytes()
    with pytest.raises(ValueError, match="another file is called so"):
        inbox.take(episode, 0, b"of another run")
    assert (there / "episodes/run-00000.mcap").read_bytes() == FILES["episodes/run-00000.mcap"]


def test_episode_that_is_set_aside_at_home_is_set_aside_where_it_went_to(tmp_path: Path) -> None:
    here, there = tmp_path / "robot", tmp_path / "workstation"
    shelf, inbox = offered(here), Inbox(there)
    for item in shelf.items():
        send(shelf, inbox, item)
    (here / "episodes/.trash").mkdir()
    (here / "episodes/run-00000.mcap").rename(here / "episodes/.trash/run-00000.mcap.1")
    assert inbox.set_aside(shelf.aside()) == ["run-00000"] and inbox.set_aside(shelf.aside()) == []
    assert (there / "episodes/.trash/run-00000.mcap.1").is_file()


@pytest.mark.parametrize(
    "path", ("../x.mcap", "episodes/../../x.mcap", "/etc/passwd", "episodes/.trash/x.mcap", "episodes/a/b.mcap",
             "episodes/x.py", "models/head/head.onnx", "", "labels/a.json", "episodes/x.mcap\n"),
)  # fmt: skip
def test_only_files_that_travel_are_read_or_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="expected the path of a file that travels"):
        checked(path, EPISODES)
    with pytest.raises(ValueError, match="expected the path"):
        Inbox(tmp_path).take(Item(path, 1, "0" * 64), 0, b"x")
    assert not list(tmp_path.iterdir())


def test_a_heads_manifest_goes_last(tmp_path: Path) -> None:
    folder = tmp_path / "models/head-0001"
    folder.mkdir(parents=True)
    for name in ("manifest.json", "sentences.safetensors", "head.onnx"):
        (folder / name).write_text(name)
    assert [item.path.rpartition("/")[2] for item in Shelf(tmp_path, HEADS).items()][-1] == "manifest.json"


def test_nonsense_is_no_item(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected path, size_bytes and sha256"):
        item_of({"path": "episodes/x.mcap"})
    with pytest.raises(ValueError, match="SHA-256"):
        Inbox(tmp_path).take(Item("episodes/x.mcap", 1, "../../x"), 0, b"x")


def test_what_would_fill_the_disk_is_refused_before_a_byte_of_it_is_written(tmp_path: Path) -> None:
    item = lambda i: Item(f"models/head/{i}.onnx", 1000, f"{i:064x}")  # noqa: E731
    with pytest.raises(ValueError, match="a size up to 999 bytes"):
        Inbox(tmp_path, HEADS, most_bytes=999).take(item(0), 0, b"x")
    with pytest.raises(OSError, match="no space left"):
        Inbox(tmp_path, HEADS, floor_bytes=1 << 60).take(item(0), 0, b"x")
    assert not list(tmp_path.rglob("*.part"))
    inbox = Inbox(tmp_path, HEADS, 1000, 1)
    for i in range(MAX_PARTS):
        assert inbox.take(item(i), 0, b"x") == 1
    with pytest.raises(OSError, match="half here"):
        inbox.take(item(MAX_PARTS), 0, b"x")
    assert inbox.take(item(0), 1, b"y") == 2, "what has begun goes on"
    inbox.tidy([])
    assert inbox.take(item(MAX_PARTS), 0, b"x") == 1
