"""After a crash: an unfinished episode file becomes a whole one, up to its last whole step.

It is done in place (cut the torn tail, append the end), so that it works on a full disk
and may itself be interrupted and run again.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.records import DataEnd, Footer, Message

from armtune_policies.contract import Decision

from . import records, schemas
from .episode_writer import PART
from .files import flush_folder, readable, trash
from .mcap_scan import MAGIC, Entry, entries
from .nouns import ABORTED, RESTING, EpisodeState, Observation

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Salvaged:
    """What became of a ``.part``: ``path`` is the whole file, None when no step was whole."""

    part: Path
    path: Path | None
    steps: int
    """Whole steps kept."""
    lost: int
    """Steps seen in part and given up."""


@dataclass
class _Found:
    """What a torn file still says: where its steps begin, and which are whole."""

    state: EpisodeState | None = None
    state_channel: int = 0
    log_ns: int = 0
    end: int = 0
    starts: dict[int, int] = field(default_factory=dict)
    observed: set[int] = field(default_factory=set)
    decided: set[int] = field(default_factory=set)

    @property
    def whole(self) -> set[int]:
        return self.observed & self.decided


def salvage(part: Path, reason: str = "the recorder stopped before the episode ended") -> Salvaged:
    """Make a whole file of ``<episode_id>.mcap.part``.

    The outcome becomes ``aborted`` with ``reason``, unless the episode had ended. A file
    without one whole step goes to ``.trash``.

    Raises:
        FileExistsError: when the whole file is there already.
        ValueError: when it is no episode file.
        OSError: when the disk refuses even a few bytes.
    """
    part = Path(part)
    path = part.with_name(part.name.removesuffix(PART))
    if path.exists():
        raise FileExistsError(f"{path} is there already; move {part.name} away by hand")
    found = _look(part)
    seen = len(found.starts)
    while found.state is not None and found.whole:
        _forget_torn_step(found)
        try:
            _finish(part, found, reason)
        except OSError as why:
            if why.errno not in _FULL:
                raise readable(why, part) from None
            _forget(found, max(found.starts))  # its bytes make room for the end
            continue
        part.replace(path)
        flush_folder(path.parent)
        return Salvaged(part, path, len(found.whole), seen - len(found.whole))
    trash(part)
    return Salvaged(part, None, 0, seen)


def salvage_folder(episodes: Path) -> list[Salvaged]:
    """Salvage every ``.part`` in a run's ``episodes`` folder; nothing to do is no error."""
    return [salvage(part) for part in sorted(Path(episodes).glob(f"*.mcap{PART}"))]


def _look(part: Path) -> _Found:
    found = _Found()
    for entry in entries(part):
        if schemas.STEP_TOPICS.get(entry.topic) == entry.type_name:
            _note(found, entry)
        if entry.topic:
            found.end, found.log_ns = entry.end, max(found.log_ns, entry.log_ns)
    return found


def _note(found: _Found, entry: Entry) -> None:
    value = records.decode(entry.type_name, entry.data)
    if isinstance(value, EpisodeState):
        found.state, found.state_channel = value, entry.channel_id
    elif isinstance(value, (Observation, Decision)):
        found.starts.setdefault(value.step, entry.start)
        (found.observed if isinstance(value, Observation) else found.decided).add(value.step)


def _forget_torn_step(found: _Found) -> None:
    """Drop the newest steps until the newest is whole; an older hole stays, and is marked by absence."""
    while max(found.starts) not in found.whole:
        _forget(found, max(found.starts))


def _forget(found: _Found, step: int) -> None:
    found.end = min(found.end, found.starts.pop(step))
    found.observed.discard(step)
    found.decided.discard(step)


def _finish(part: Path, found: _Found, reason: str) -> None:
    """Cut ``part`` at ``found.end`` and append the outcome and the end of an MCAP file.

    There is no summary section: readers then scan the file, which is what they do with
    unchunked files anyway.
    """
    newest = found.state or EpisodeState()
    builder = RecordBuilder()
    if not newest.outcome:
        final = replace(newest, phase=RESTING, outcome=ABORTED, end_step=max(found.whole), reason=f"salvaged: {reason}")
        _, data = records.encode(final)
        Message(found.state_channel, found.log_ns, data, found.log_ns, 0).write(builder)
    DataEnd(0).write(builder)
    Footer(0, 0, 0).write(builder)
    with open(part, "r+b") as file:
        file.truncate(found.end)
        file.seek(found.end)
        file.write(builder.end() + MAGIC)
        file.flush()
        os.fsync(file.fileno())
