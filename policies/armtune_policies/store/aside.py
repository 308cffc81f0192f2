"""Small files that nobody waits for: a slow disk holds up no control loop, and a full one ends no node."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from .files import write_json

CLOSE_S = 2.0


class Aside:
    """Writes JSON files on a thread of its own, in the order in which they were asked for.

    Of what waits for one path the last value counts. What a disk does not take is lost; ``trouble`` says why, until the
    next one is written, and is blank for nothing.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._waiting: dict[Path, Any] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
        self._last: Future[None] | None = None

    def write(self, path: Path, value: Any) -> None:
        """Note what ``path`` is to hold, a value that nobody changes afterwards; returns at once."""
        with self._lock:
            self._waiting[path] = value
            self._last = self._pool.submit(self._write, path)

    def close(self) -> None:
        """Take nothing more, and give what waits two seconds to reach the disk."""
        self._pool.shutdown(wait=False)
        if self._last is not None:
            wait([self._last], timeout=CLOSE_S)

    def _write(self, path: Path) -> None:
        with self._lock:
            if path not in self._waiting:
                return  # an earlier turn wrote what came last
            value = self._waiting.pop(path)
        try:
            write_json(path, value)
            self.trouble = ""
        except OSError as why:
            self.trouble = why.strerror or str(why)
