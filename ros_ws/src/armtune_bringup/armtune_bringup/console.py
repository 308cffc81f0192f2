"""The merged, shortened console: log files in, one line per thing worth a look out."""

from __future__ import annotations

import re
from pathlib import Path

WIDTH = 200
REASON_WIDTH = 1000
"""A reason is one sentence, with paths; a line of the console may be cut, this not."""
_ROS = re.compile(r"^\[(DEBUG|INFO|WARN|ERROR|FATAL)\] \[[0-9.]+\] (?:\[[^\]]*\]: )?(.*)$")
_TRACEBACK = r"Traceback \(most recent call last\):\n(?: .*\n)*\S.*\n"
_CHAIN = re.compile(rf"{_TRACEBACK}(?:(?:The above exception was|During handling of the above) .*\n{_TRACEBACK})*")


def short(name: str, line: str) -> str:
    """Return ``name | text`` without stamps, at most ``WIDTH`` long; warnings keep their word."""
    match = _ROS.match(line)
    word, text = match.groups() if match else ("INFO", line)
    mark = "" if word == "INFO" else f"{word}: "
    return f"{name:<16.16} | {mark}{text}"[:WIDTH]


def is_error(line: str) -> bool:
    """Whether a log line tells of an error."""
    return line.startswith(("[ERROR]", "[FATAL]", "error:")) or bool(re.match(r"^[A-Za-z_.]+(Error|Exception): ", line))


def calm(lines: list[str]) -> list[str]:
    """Drop tracebacks of Ctrl-C: a process that was told to end while it still imported says nothing by them."""
    text = "".join(f"{line}\n" for line in lines)
    return _CHAIN.sub(lambda chain: "" if "\nKeyboardInterrupt\n" in chain[0] else chain[0], text).splitlines()


class LogTail:
    """Reads what is new in one node's log; remembers its last error."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""
        self.last_error = ""

    def new_lines(self) -> list[str]:
        """Return the whole lines written since the last call, shortened."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = calm([raw.decode(errors="replace").rstrip() for raw in whole if raw.strip()])
        for line in filter(is_error, lines):
            match = _ROS.match(line)
            self.last_error = (match.group(2) if match else line)[:REASON_WIDTH]
        return [short(self._name, line) for line in lines]
