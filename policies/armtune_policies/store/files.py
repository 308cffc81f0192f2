"""Files that are whole or not there, and names from outside matched whole.

Every file the product writes goes through here: written beside, flushed to disk, renamed,
and the folder flushed, so that a power cut leaves the old file or the new one.
"""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What runs, episodes, models and label sets may be called; match it with ``fullmatch``."""

TRASH = ".trash"


def checked_name(name: str, what: str = "name") -> str:
    """Return ``name`` when it is safe to be one part of a path.

    Raises:
        ValueError: saying what it should look like.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r}: expected 1 to 64 of a-z 0-9 _ - , the first a letter or digit")
    return name


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` is the old file or all of the new one, never between.

    Missing parent folders are made.

    Raises:
        OSError: in one sentence, with the path; a full disk says how much was wanted.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)
    except OSError as why:
        raise readable(why, path, len(data)) from None


def flush_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable(why: OSError, path: Path, size_bytes: int | None = None) -> OSError:
    """Return ``why`` with a sentence that says what to do; same type and errno. A sentence stays as it is."""
    if str(path) in (why.strerror or ""):
        return why
    wanted = "" if size_bytes is None else f" ({size_bytes} bytes wanted)"
    if why.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"no space left to write {path}{wanted}; free some disk space and run the same command again"
    else:
        text = f"cannot write {path}: {why.strerror or why}"
    return type(why)(why.errno, text)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all.

    Raises:
        ValueError: for a number that is not finite: JSON has no name for it.
        OSError: as ``write_whole``.
    """
    try:
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    except ValueError as why:
        raise ValueError(f"{path}: not written, {why}") from None
    write_whole(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file says.

    Raises:
        ValueError: when it is not JSON or holds NaN or infinity, naming the file.
        OSError: when it cannot be read.
    """
    try:
        return json.loads(Path(path).read_bytes(), parse_constant=_refuse)
    except ValueError as why:
        raise ValueError(f"{path}: expected JSON with finite numbers, {why}") from None


def trash(path: Path) -> Path:
    """Move a file or folder into ``.trash`` beside it; nothing is ever deleted by us.

    Returns:
        Where it went, so that a person can bring it back.
    """
    path = Path(path)
    folder = path.parent / TRASH
    folder.mkdir(exist_ok=True)
    for number in range(1, 100_000):
        target = folder / f"{path.name}.{number}"
        if not target.exists():
            path.replace(target)
            return target
    raise OSError(errno.EEXIST, f"{folder} is full of copies of {path.name}; empty it and run again")


def _refuse(constant: str) -> None:
    raise ValueError(f"got {constant}")
