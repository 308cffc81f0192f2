"""The last seconds before a fault: kept in memory all the time, written as one file when the gate latches or has died.

Every STOP is of the one or the other: the supervisor's, for a node that is lost, is a latch of the gate like any. That
a gate died is known once the next one speaks.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path

from . import schemas
from .encoding import is_key
from .files import whole_file
from .mcap_file import Messages
from .nouns import Raw
from .settings import RecorderParams

FOLDER = "faults"
METADATA = "fault"
DIED = "gate died"
"""What an arm's being armed ends by without a latch: the gate's process was another one then."""


class Ring:
    """Messages of the last ``seconds``, at most ``most_bytes`` of them; the oldest go first."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds_ns, self._most = int(seconds * 1e9), most_bytes
        self._kept: deque[tuple[int, Raw]] = deque()
        self.size_bytes = 0

    def add(self, raw: Raw, now_ns: int) -> None:
        """Keep a message; ``now_ns`` is a steady clock's."""
        if not self._seconds_ns:
            return
        self._kept.append((now_ns, raw))
        self.size_bytes += len(raw.data)
        while self._kept and (self._kept[0][0] < now_ns - self._seconds_ns or self.size_bytes > self._most):
            self.size_bytes -= len(self._kept.popleft()[1].data)

    def messages(self) -> list[Raw]:
        """Return what is kept, oldest first."""
        return [raw for _, raw in self._kept]


class Faults:
    """Remembers what was heard, and saves it when something latches that did not before, or the gate dies armed.

    ``trouble`` is why the newest fault was not saved, blank for no such thing.
    """

    def __init__(self, run_folder: Path, params: RecorderParams, pool: Executor) -> None:
        self.saved, self.trouble = 0, ""
        self._folder, self._pool, self._floor_mb = Path(run_folder), pool, params.disk_floor_mb
        self._ring = Ring(params.ring_s, params.ring_mb * 1_000_000)
        self._latches: frozenset[str] = frozenset()
        self._armed_by = 0
        self._saving: list[Future[Path]] = []

    def remember(self, raw: Raw, now_ns: int) -> None:
        """Keep a message for a while."""
        self._ring.add(raw, now_ns)

    def on_gate(self, boot_id: int, is_armed: bool, latches: Iterable[str], stamp_ns: int) -> None:
        """Take how the gate stands now; each new latch is a fault of its own, and so is the death of an armed one."""
        now = frozenset(latches)
        has_died = self._armed_by not in (0, boot_id)
        self._armed_by = boot_id if is_armed else 0
        for fault in sorted((now - self._latches) | ({DIED} if has_died else set())):
            save = partial(save_fault, self._folder, fault, stamp_ns, self._ring.messages(), self._floor_mb)
            self._saving.append(self._pool.submit(save))
        self._latches = now

    def settle(self) -> list[Path]:
        """Return the files that are whole since the last call."""
        done = [future for future in self._saving if future.done()]
        self._saving = [future for future in self._saving if future not in done]
        found = []
        for future in done:
            why = future.exception(timeout=0)
            said = why.strerror if isinstance(why, OSError) and why.strerror else why
            self.trouble = "" if why is None else f"what led to a fault was not saved: {said}"
            if why is None:
                found.append(future.result(timeout=0))
        self.saved += len(found)
        return found


def save_fault(run_folder: Path, fault: str, stamp_ns: int, raws: Sequence[Raw], floor_mb: int = 0) -> Path:
    """Write messages as ``faults/<time>-<fault>.mcap``, whole or not at all; a video from its first key frame on.

    Raises:
        OSError: when the disk refuses, or would have less than ``floor_mb`` free [MB], in one sentence.
    """
    folder, raws = Path(run_folder) / FOLDER, list(_shown(raws))
    free_mb = (shutil.disk_usage(run_folder).free - sum(len(raw.data) for raw in raws)) // 1_000_000
    if free_mb < floor_mb:
        raise OSError(errno.ENOSPC, f"{free_mb} MB would be free on the disk of {run_folder}, {floor_mb} wanted")
    path = next(path for path in _names(folder, fault, stamp_ns) if not path.exists())
    with whole_file(path) as part, open(part, "wb") as file:
        messages = Messages(file, METADATA, {"fault": fault, "stamp_ns": str(stamp_ns), "messages": str(len(raws))})
        for raw in raws:
            messages.add(raw.topic, raw.type_name, raw.stamp_ns, raw.data)
        messages.finish()
    return path


def _shown(raws: Iterable[Raw]) -> Iterator[Raw]:
    begun = set()
    for raw in raws:
        if raw.type_name == schemas.COMPRESSED_VIDEO and raw.topic not in begun:
            if not is_key(schemas.decode(raw.type_name, raw.data)):
                continue
            begun.add(raw.topic)
        yield raw


def _names(folder: Path, fault: str, stamp_ns: int) -> Iterable[Path]:
    at = time.strftime("%Y%m%dt%H%M%Sz", time.gmtime(stamp_ns / 1e9))
    name = re.sub(r"[^a-z0-9]+", "-", fault.lower()).strip("-")[:40] or "fault"
    yield folder / f"{at}-{name}.mcap"
    yield from (folder / f"{at}-{name}-{number}.mcap" for number in range(2, 100_000))
