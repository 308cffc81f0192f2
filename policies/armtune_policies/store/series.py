"""A table of numbers that grows: one CSV line a row, appended as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .files import readable


class Series:
    """Appends rows to a CSV file, writing every ``every`` of them to the system at once.

    A process that is killed loses what it has not flushed; a line torn by that is cut off
    when the file is continued.

    Args:
        path: The file; continued when it is there and has the same columns. Missing folders are made.
        columns: Its header.
        every: Rows between two flushes.

    Raises:
        ValueError: when the file is there with other columns.
        OSError: in one sentence, with the path; every write may raise it.
    """

    def __init__(self, path: Path, columns: Sequence[str], every: int = 1) -> None:
        self.path, self._width, self._every = Path(path), len(columns), every
        self._lines: list[str] = []
        header = ",".join(columns) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a line that could not be written is not kept for a second, doubled try.
            self._file = open(self.path, "ab+", buffering=0)
            self._mend(header.encode())
        except OSError as why:
            raise readable(why, self.path) from None

    def append(self, row: Sequence[object]) -> None:
        """Add one row, a value a column; numbers are written so that they read back equal."""
        if len(row) != self._width:
            raise ValueError(f"{self.path}: expected {self._width} values a row, got {len(row)}")
        self._lines.append(",".join(map(str, row)) + "\n")
        if len(self._lines) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Give to the system what was appended since."""
        text, self._lines = "".join(self._lines), []
        try:
            self._file.write(text.encode())
        except OSError as why:
            raise readable(why, self.path) from None

    def close(self) -> None:
        """Flush and close; closing again does nothing."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def _mend(self, header: bytes) -> None:
        self._file.seek(0)
        there = self._file.read(len(header))
        if not there or (b"\n" not in there and header.startswith(there)):
            self._file.truncate(0)
            self._file.write(header)
        elif there != header:
            self._file.close()
            raise ValueError(f"{self.path}: expected columns {header.decode().strip()}; move the file away")
        else:
            self._file.truncate(self._whole())

    def _whole(self) -> int:
        """Return the size [bytes] of the file up to its last whole line."""
        end = size = self._file.seek(0, 2)
        while end > 0:
            start = max(0, end - 4096)
            self._file.seek(start)
            at = self._file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return size
