"""Files that are whole or not there, and names from outside matched whole.

Every file the product writes goes through here: written beside, flushed to disk, renamed,
and the folder flushed, so that a power cut leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from armtune_policies.contract import ConfigError

from .exchange import exchange

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What runs, episodes, models and label sets may be called; match it with ``fullmatch``."""

TRASH = ".trash"
MAX_TEXT_BYTES, MAX_DEPTH = 1 << 20, 32
"""Of a YAML or JSON file that people write or read; and of lists in lists."""
MAX_JSON_BYTES = 1 << 25
"""Of one that a long training or study wrote."""


def checked_name(name: str, what: str = "name") -> str:
    """Return ``name`` when it is safe to be one part of a path.

    Raises:
        ValueError: saying what it should look like.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r}: expected 1 to 64 of a-z 0-9 _ - , the first a letter or digit")
    return name


@contextlib.contextmanager
def whole_file(path: Path, size_bytes: int | None = None) -> Iterator[Path]:
    """Write a file beside ``path``; it gets its name, on the disk, when the block ends well, and goes when it does not.

    Missing parent folders are made. Halves of this file that killed processes left behind go first.

    Raises:
        OSError: in one sentence, with the path; of a full disk with ``size_bytes``, where they are known.
    """
    path = Path(path)
    part = _half(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            yield part
            flush_file(part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)
    except OSError as why:
        raise readable(why, path, size_bytes) from None


def _half(path: Path) -> Path:
    """Where this process writes a file or folder until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _sweep(path: Path) -> None:
    """Remove the halves whose writers are no more; one that is still written stays, and so does another name's."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        pid = left.name[len(path.name) + 2 : -len(".part")]
        if pid.isdecimal() and not _is_alive(int(pid)):
            with contextlib.suppress(OSError):  # a left half is no reason not to write
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` is the old file or all of the new one, never between.

    Raises:
        OSError: as ``whole_file``.
    """
    with whole_file(path, len(data)) as part:
        part.write_bytes(data)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that ``target`` is all of it, or not there.

    Raises:
        OSError: as ``whole_file``.
    """
    with whole_file(target) as part:
        shutil.copyfile(source, part)


@contextlib.contextmanager
def whole_folder(path: Path, is_renewed: bool = False) -> Iterator[Path]:
    """Fill a folder beside ``path``; it gets its name when the block ends well, and goes when it does not.

    What earlier, killed attempts left behind goes, too. With ``is_renewed`` a folder that is there already goes to
    ``.trash`` when the new one is whole: in one step, where the disk can exchange names.

    Raises:
        FileExistsError: when ``path`` is there already, and not to be renewed.
        OSError: in one sentence, with the path.
    """
    path = Path(path)
    part = _half(path)
    if path.exists() and not is_renewed:
        raise FileExistsError(f"{path} is there already; choose another folder, or move it away")
    try:
        _sweep(path)
        if part.exists():  # of an earlier process of our number, as in a container
            shutil.rmtree(part)
        part.mkdir(parents=True)
        yield part
        for file in sorted(part.rglob("*")):
            flush_folder(file) if file.is_dir() else flush_file(file)
        flush_folder(part)
        _renew(part, path) if path.exists() else part.replace(path)
        flush_folder(path.parent)
    except BaseException as why:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(why, OSError) and why.errno is not None:
            raise readable(why, path) from None
        raise


def _renew(part: Path, path: Path) -> None:
    """Give a new folder the name of the old one, which goes to ``.trash``."""
    aside = _place_in_trash(path)
    part.replace(aside)
    try:
        is_done = exchange(aside, path)
    except BaseException:
        aside.replace(part)
        raise
    if is_done:
        flush_folder(aside.parent)
        return
    aside.replace(part)
    went = trash(path)
    try:
        part.replace(path)
    except BaseException:
        went.replace(path)
        raise


def flush_file(path: Path) -> None:
    """Make a file's bytes survive a power cut."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


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


def read_json(path: Path, most_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return what a JSON file says.

    Raises:
        ValueError: as ``read_capped``, and when it is not JSON or holds NaN or infinity, naming the file.
        OSError: when it cannot be read.
    """
    data = read_capped(path, most_bytes)
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as why:
        raise ValueError(f"{path}: expected JSON with finite numbers, {why}") from None


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says.

    Raises:
        ConfigError: as ``parse_yaml``.
        OSError: when it cannot be read.
    """
    try:
        text = read_capped(path, MAX_TEXT_BYTES).decode("utf-8")
    except UnicodeDecodeError as why:
        raise ConfigError(f"{path}: expected YAML, {why}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, what: str) -> Any:
    """Return what YAML says: plain data, no tags that name types, no aliases that multiply what they stand for.

    Raises:
        ConfigError: in one sentence that begins with ``what``.
    """
    try:
        check_yaml(text, what)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as why:
        if isinstance(why, ConfigError):
            raise
        raise ConfigError(f"{what}: expected YAML, {' '.join(str(why).split())[:200]}") from None


def check_yaml(text: str, what: str) -> None:
    """Refuse YAML that is more than plain data, without building any of it.

    Raises:
        ConfigError: saying what.
        yaml.YAMLError: when it is no YAML.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise ConfigError(f"{what}: expected at most {MAX_TEXT_BYTES} characters of YAML, got {len(text)}")
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{what}: expected plain YAML, got an alias (*{event.anchor}); write the value itself")
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            raise ConfigError(f"{what}: expected plain YAML, got the tag {tag}; data name no code")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{what}: expected lists and mappings at most {MAX_DEPTH} deep, got deeper")


def read_capped(path: Path, most_bytes: int) -> bytes:
    """Return the bytes of a plain file, which is no pipe and no device that would keep us waiting or never end.

    Raises:
        ValueError: when it is longer, or no plain file.
        OSError: when it cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path}: expected a plain file, got something else")
        if about.st_size > most_bytes:
            raise ValueError(f"{path}: expected at most {most_bytes} bytes, got {about.st_size}")
        return file.read(about.st_size)


def trash(path: Path) -> Path:
    """Move a file or folder into ``.trash`` beside it; nothing is ever deleted by us.

    Returns:
        Where it went, so that a person can bring it back.
    """
    path = Path(path)
    target = _place_in_trash(path)
    path.replace(target)
    flush_folder(target.parent)
    flush_folder(path.parent)
    return target


def _place_in_trash(path: Path) -> Path:
    folder = path.parent / TRASH
    folder.mkdir(exist_ok=True)
    for number in range(1, 100_000):
        target = folder / f"{path.name}.{number}"
        if not target.exists():
            return target
    raise OSError(errno.EEXIST, f"{folder} is full of copies of {path.name}; empty it and run again")


def hold(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; False when somebody else holds it. On a disk without locks all hold."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as why:
        if why.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
    return True


def let_go(file: IO[Any]) -> None:
    """Undo ``hold`` at once: closing does only when no other thread is still forcing the file to the disk."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Return whether a process holds a file."""
    with open(path, "rb") as file:
        return not hold(file)


def _refuse(constant: str) -> None:
    raise ValueError(f"got {constant}")
