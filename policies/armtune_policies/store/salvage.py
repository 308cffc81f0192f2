"""After a crash: an unfinished episode file becomes a whole one, up to its last whole step.

It is done in place (cut the torn tail, append the end), so that it works on a full disk
and may itself be interrupted and run again.
"""

from __future__ import annotations

import errno
import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import DataEnd, Footer, Message

from armtune_policies.contract import Decision

from . import records, schemas
from .episode_writer import PART
from .files import copy_whole, flush_folder, hold, readable, trash
from .mcap_scan import MAGIC, Entry, crc_of, entries
from .nouns import ABORTED, RESTING, EpisodeState, Observation

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Salvaged:
    """What became of a ``.part``: ``path`` is the whole file, None when no step was whole, or with ``trouble``."""

    part: Path
    path: Path | None
    steps: int
    """Whole steps kept."""
    lost: int
    """Steps seen in part and given up."""
    trouble: str = ""
    """Why it was left as it is."""

    @property
    def text(self) -> str:
        """What was done, in a sentence."""
        if self.trouble:
            return f"not salvaged: {self.trouble}"
        where = self.path.name if self.path else "nothing whole in it, it is in .trash"
        return f"salvaged {self.part.name}: {self.steps} whole steps, {self.lost} lost: {where}"


@dataclass
class _Found:
    """What a torn file still says: where its steps begin, and which are whole."""

    state: EpisodeState | None = None
    state_channel: int = 0
    log_ns: int = 0
    end: int = 0
    outcome_end: int = 0
    """Where the state that ended the episode ends, 0 for none."""
    has_end: bool = False
    """Whether the data's end mark is there."""
    starts: dict[int, int] = field(default_factory=dict)
    observed: set[int] = field(default_factory=set)
    decided: set[int] = field(default_factory=set)

    @property
    def whole(self) -> set[int]:
        return self.observed & self.decided

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing to mend."""
        return self.outcome_end > 0 and self.has_end


def salvage(part: Path, reason: str = "the recorder stopped before the episode ended") -> Salvaged:
    """Make a whole file of ``<episode_id>.mcap.part``, or of an ``.mcap`` that lacks its outcome.

    The outcome becomes ``aborted`` with ``reason``, unless the episode had ended: then it stands, and
    all its steps. A ``.part`` without one whole step goes to ``.trash``.

    Raises:
        FileExistsError: when the whole file is there already.
        BlockingIOError: when it is being recorded, by whatever process.
        ValueError: for an ``.mcap`` without one whole step.
        OSError: when the disk refuses even a few bytes.
    """
    part = Path(part)
    path = part.with_name(part.name.removesuffix(PART))
    if path != part and path.exists():
        raise FileExistsError(f"{path} is there already; move {part.name} away by hand")
    with open(part, "rb") as file:
        if not hold(file) or not part.exists():  # or it was finished just now
            raise BlockingIOError(errno.EAGAIN, f"{part} is being recorded; finish the episode, or stop the recorder")
        return _salvage(part, path, reason)


def _salvage(part: Path, path: Path, reason: str) -> Salvaged:
    found = _look(part)
    seen = len(found.starts)
    if part == path and (found.is_whole or not found.whole):
        if not found.is_whole:
            raise ValueError(f"{path}: expected an episode file with at least one whole step, got none")
        return Salvaged(part, path, len(found.whole), 0)
    if part == path:
        copy_whole(trash(part), path)  # what is beyond the damage is not lost
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
        return Salvaged(part, path, len(found.whole), seen - len(found.starts))
    trash(part)
    return Salvaged(part, None, 0, seen)


def salvage_folder(episodes: Path, finished: bool = False) -> list[Salvaged]:
    """Salvage every ``.part`` in a run's ``episodes`` folder, each for itself; nothing to do is no error.

    Args:
        episodes: The folder.
        finished: Read the finished files, too, and mend those that lack their outcome.
    """
    folder, found = Path(episodes), []
    for part in sorted([*folder.glob(f"*.mcap{PART}"), *(folder.glob("*.mcap") if finished else ())]):
        try:
            if part.suffix == PART or not _look(part).is_whole:
                found.append(salvage(part))
        except (OSError, ValueError) as why:
            said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
            found.append(Salvaged(part, None, 0, 0, said))
    return found


def _look(part: Path) -> _Found:
    """Read up to the tear: the end, or the first record that makes no sense."""
    found = _Found()
    try:
        for entry in entries(part):
            if schemas.STEP_TOPICS.get(entry.topic) == entry.type_name:
                _note(found, entry)
            found.has_end = entry.kind == Opcode.DATA_END
            if entry.topic:
                found.end, found.log_ns = entry.end, max(found.log_ns, entry.log_ns)
    except ValueError:
        pass
    return found


def _note(found: _Found, entry: Entry) -> None:
    value = records.decode(entry.type_name, entry.data, entry.schema)
    if isinstance(value, EpisodeState):
        found.state, found.state_channel = value, entry.channel_id
        found.outcome_end = entry.end if value.outcome else 0
    elif isinstance(value, (Observation, Decision)):
        found.starts.setdefault(value.step, entry.start)
        (found.observed if isinstance(value, Observation) else found.decided).add(value.step)


def _forget_torn_step(found: _Found) -> None:
    """Drop the newest steps until the newest is whole; an older hole stays, and is marked by absence.

    Of an episode that had ended nothing is torn: a step that lacks a part lacked it then.
    """
    while found.outcome_end == 0 and max(found.starts) not in found.whole:
        _forget(found, max(found.starts))


def _forget(found: _Found, step: int) -> None:
    found.end, found.outcome_end = min(found.end, found.starts.pop(step)), 0
    found.observed.discard(step)
    found.decided.discard(step)


def _finish(part: Path, found: _Found, reason: str) -> None:
    """Cut ``part`` at ``found.end`` and append the outcome and the end of an MCAP file.

    There is no summary section: readers then scan the file, which is what they do with
    unchunked files anyway.
    """
    newest = found.state or EpisodeState()
    builder = RecordBuilder()
    if not found.outcome_end:
        final = replace(newest, phase=RESTING, outcome=ABORTED, end_step=max(found.whole), reason=f"salvaged: {reason}")
        _, data = records.encode(final)
        Message(found.state_channel, found.log_ns, data, found.log_ns, 0).write(builder)
    last = builder.end()
    DataEnd(zlib.crc32(last, crc_of(part, found.end))).write(builder)
    Footer(0, 0, 0).write(builder)
    with open(part, "r+b") as file:
        file.truncate(found.end)
        file.seek(found.end)
        file.write(last + builder.end() + MAGIC)
        file.flush()
        os.fsync(file.fileno())
