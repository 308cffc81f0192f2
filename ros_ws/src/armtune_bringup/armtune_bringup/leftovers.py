"""What killed processes leave in shared memory: 17 MB each, until someone takes it away."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

SHARED = Path("/dev/shm")
OLD_S = 2.0
"""Younger locks are left: a process that begins makes the file before it locks it."""
_SEGMENTS = "fastrtps_" + 16 * "[0-9a-f]"
_LOCK = "_el"


def dead(folder: Path) -> list[Path]:
    """Return this user's Fast DDS segments of which the owner, who holds a lock while it lives, is dead.

    Ports are no segments: others may go on writing there.
    """
    now_s = datetime.now(UTC).timestamp()
    return [
        lock.with_name(lock.name.removesuffix(_LOCK))
        for lock in folder.glob(_SEGMENTS + _LOCK)
        if _is_old(lock, now_s) and _is_free(lock)
    ]


def sweep(folder: Path = SHARED) -> None:
    """Remove the segments of the dead."""
    for segment in dead(folder):
        with suppress(OSError):
            segment.unlink(missing_ok=True)
            segment.with_name(segment.name + _LOCK).unlink(missing_ok=True)


def _is_old(lock: Path, now_s: float) -> bool:
    try:
        known = lock.lstat()
    except OSError:  # its owner has just ended well
        return False
    return stat.S_ISREG(known.st_mode) and known.st_uid == os.geteuid() and now_s - known.st_mtime > OLD_S


def _is_free(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
