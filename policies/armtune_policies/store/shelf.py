"""Files that travel: what a folder offers, and where files arrive, whole or not at all. Pure but for the disk.

A file is named by its path and its SHA-256. What arrives is kept in ``.incoming`` under its digest, piece after piece,
wherever the last attempt ended; it gets its name once it is whole and its digest is right. So a transfer that is cut,
killed or made twice ends as one that was not.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from armtune_policies.contract import file_digest

from .files import TRASH, flush_file, flush_folder, readable, trash

CHUNK_BYTES = 1 << 20
INCOMING = ".incoming"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
EPISODES = tuple(rf"{folder}/{_NAME}" for folder in (r"episodes", r"edits", rf"labels/{_NAME}"))
"""What goes from a run to who learns from it."""
HEADS = (rf"models/{_NAME}/{_NAME}",)
"""What comes back; a head's manifest last, for it says that the head is whole."""
SUFFIXES = {
    "episodes": (".mcap",),
    "edits": (".json",),
    "labels": (".json",),
    "models": (".json", ".onnx", ".safetensors"),
}
FINAL = (".mcap", ".onnx", ".safetensors")
"""Of files that never change: another one of the same name is an error."""


MAX_PARTS = 64
"""So many files may be on their way into one folder."""


class Damaged(ValueError):
    """What arrived is not what was announced; it was thrown away, and may be sent anew."""


class Taken(ValueError):
    """Another file that must not change has this name: two runs, or two heads, are called alike."""


@dataclass(frozen=True)
class Item:
    """One whole file."""

    path: str
    """Below the folder, with ``/``."""
    size_bytes: int
    sha256: str


def checked(path: str, kinds: Sequence[str]) -> str:
    """Return a path from outside that may be one of ``kinds``.

    Raises:
        ValueError: for any other, one that leads out of the folder among them.
    """
    good = isinstance(path, str) and any(re.fullmatch(kind, path) for kind in kinds)
    if not good or not path.endswith(SUFFIXES[path.partition("/")[0]]):
        raise ValueError(f"expected the path of a file that travels, got {path!r}")
    return path


class Shelf:
    """What a folder offers.

    Args:
        root: The folder.
        kinds: ``EPISODES`` or ``HEADS``.
    """

    def __init__(self, root: Path, kinds: Sequence[str] = EPISODES) -> None:
        self.root, self._kinds = Path(root), kinds
        self._known: dict[str, tuple[tuple[int, int, int], Item]] = {}

    def items(self) -> list[Item]:
        """Return all whole files, manifests last; each is read once while it stays the same."""
        found = []
        for path in sorted(p for kind in ("*/*", "*/*/*") for p in self.root.glob(kind) if p.is_file()):
            name = path.relative_to(self.root).as_posix()
            try:
                checked(name, self._kinds)
                found.append(self.item(name, path))
            except (ValueError, FileNotFoundError):  # not one of ours, or gone just now
                continue
        return sorted(found, key=lambda item: (item.path.endswith("manifest.json"), item.path))

    def aside(self) -> list[str]:
        """Return the episodes that were set aside, by name."""
        names = {path.name.partition(".")[0] for path in (self.root / "episodes" / TRASH).glob("*.mcap*")}
        return sorted(name for name in names if not (self.root / "episodes" / f"{name}.mcap").exists())

    def read(self, path: str, offset: int, count: int) -> bytes:
        """Return part of a file.

        Raises:
            ValueError: for a path that does not travel.
            OSError: when it cannot be read.
        """
        with open(self.root / checked(path, self._kinds), "rb") as file:
            file.seek(offset)
            return file.read(min(count, CHUNK_BYTES))

    def item(self, name: str, path: Path) -> Item:
        """Return a file as it is now."""
        mark = _mark(path)
        if name not in self._known or self._known[name][0] != mark:
            self._known[name] = (mark, Item(name, mark[0], file_digest(path)))
        return self._known[name][1]

    def note(self, item: Item) -> None:
        """Take a file that was checked just now for what it was checked against."""
        self._known[item.path] = (_mark(self.root / item.path), item)


def _mark(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file does: bytes, nanoseconds, inode."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


class Inbox:
    """Where files arrive.

    Args:
        root: The folder they arrive in.
        kinds: What may: ``EPISODES`` or ``HEADS``.
        most_bytes: A larger file is refused.
        floor_bytes: So much of the disk stays free.
    """

    def __init__(
        self, root: Path, kinds: Sequence[str] = EPISODES, most_bytes: int = 1 << 40, floor_bytes: int = 0
    ) -> None:
        self._shelf, self._root, self._kinds = Shelf(root, kinds), Path(root), kinds
        self._most_bytes, self._floor_bytes = most_bytes, floor_bytes

    def held(self, item: Item) -> int:
        """Return how many bytes of a file are here; all of them once it has its name, and only then.

        Raises:
            ValueError: for a path that does not travel, or a file that is too large.
            Taken: when another file is called so and must not change.
            OSError: when the disk refuses.
        """
        target = self._root / checked(item.path, self._kinds)
        if target.is_file():
            if self._shelf.item(item.path, target).sha256 == item.sha256:
                return item.size_bytes
            if item.path.endswith(FINAL):
                raise Taken(f"{target}: another file is called so; two runs of one name? Move one away")
        part = self._part(item)
        size = part.stat().st_size if part.is_file() else 0
        if size < item.size_bytes:
            return size
        try:  # killed between its last piece and its name, or empty
            return self._finish(item, part)
        except Damaged:
            return 0

    def take(self, item: Item, offset: int, data: bytes) -> int:
        """Take the piece of a file that begins at ``offset``; return how many bytes are here now.

        A piece that is not the next is left: whoever sends goes on from what is returned.

        Raises:
            Damaged: when the file is complete and not what was announced; nothing of it is kept.
            ValueError: as ``held``.
            OSError: when the disk refuses, saying what to do.
        """
        held = self.held(item)
        if held == item.size_bytes or offset != held or not data:
            return held
        part, data = self._part(item), data[: item.size_bytes - offset]
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            self._check_room(item, held)
            with open(part, "r+b" if part.exists() else "xb") as file:
                file.seek(offset)
                file.write(data)
            return self._finish(item, part) if held + len(data) == item.size_bytes else held + len(data)
        except OSError as why:
            raise readable(why, self._root / item.path, item.size_bytes) from None

    def tidy(self, items: Sequence[Item]) -> None:
        """Throw away what arrived of files that are no longer offered."""
        wanted = {self._part(item).name for item in items}
        for part in (self._root / INCOMING).glob("*.part"):
            if part.name not in wanted:
                part.unlink(missing_ok=True)

    def set_aside(self, episode_ids: Sequence[str]) -> list[str]:
        """Set aside what was set aside where it came from; nothing is deleted. Return what was."""
        done = []
        for name in episode_ids:
            path = self._root / checked(f"episodes/{name}.mcap", EPISODES)
            if path.is_file():
                trash(path)
                done.append(name)
        return done

    def _part(self, item: Item) -> Path:
        if not (re.fullmatch(r"[0-9a-f]{64}", item.sha256) and 0 <= item.size_bytes <= self._most_bytes):
            raise ValueError(
                f"{item.path}: expected a SHA-256 and a size up to {self._most_bytes} bytes, got {item.sha256!r}, "
                f"{item.size_bytes}"
            )
        return self._root / INCOMING / f"{item.sha256}.part"

    def _check_room(self, item: Item, held: int) -> None:
        """Refuse what would fill the disk, before the first byte of it is written.

        Raises:
            OSError: saying what to do.
        """
        if not held and len(list((self._root / INCOMING).glob("*.part"))) >= MAX_PARTS:
            raise OSError(errno.EDQUOT, f"{self._root / item.path}: {MAX_PARTS} files are half here; send one whole")
        wanted = item.size_bytes - held + self._floor_bytes
        if self._floor_bytes and not shutil.disk_usage(self._root).free >= wanted:
            raise OSError(errno.ENOSPC, "full")

    def _finish(self, item: Item, part: Path) -> int:
        """Give a complete file its name, if it is the one that was announced; return its size."""
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        flush_file(part)
        if (got := file_digest(part)) != item.sha256:
            part.unlink()
            raise Damaged(f"{item.path}: expected SHA-256 {item.sha256}, got {got}; it is sent anew")
        target = self._root / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        flush_folder(target.parent)
        self._shelf.note(item)
        return item.size_bytes


def item_of(value: Mapping[str, object]) -> Item:
    """Return an item from JSON or a query.

    Raises:
        ValueError: when it is none.
    """
    try:
        return Item(str(value["path"]), int(str(value["size_bytes"])), str(value["sha256"]))
    except KeyError as why:
        raise ValueError(f"expected path, size_bytes and sha256; got no {why}") from None
