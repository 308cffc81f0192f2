"""What the recorder does with what it hears, without ROS: rows joined, files written.

Rows are written whole and in step order, so that a crash costs at most the step in
flight. A disk that refuses ends the recording of its episode, whole, and nothing else.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from armtune_policies.contract import Decision, RewardAnswer

from .episode_reader import read_episode
from .episode_writer import TOPIC_OF, EpisodeWriter
from .files import checked_name, readable, trash
from .labels import operator_labels, patched, read_labels, write_labels
from .nouns import (
    ABORTED,
    DISCARDED,
    EVALUATION,
    EVALUATIONS,
    LIVE,
    PAUSED,
    READY,
    SUCCESS,
    EpisodeState,
    Observation,
    Raw,
)
from .salvage import salvage
from .schemas import STEP_TOPICS
from .settings import RecorderParams
from .step_table import Row, StepTable

T = TypeVar("T")
Part = Observation | Decision | RewardAnswer
_REMEMBERED = 8
"""How many closed episodes still take late answers."""
STOP_WAIT_S = 2.0
"""How long stopping waits for the disk; what is not whole by then is salvaged at the next start."""
_EARLY = 3 * 200
"""How many parts wait for their episode to be announced: topics may overtake each other, on a busy machine by seconds,
and three parts a step come meanwhile; more than a node hears at once that stood still (``RECORDED_QOS``)."""


@dataclass
class _Open:
    """An episode being recorded."""

    state: EpisodeState
    table: StepTable
    writer: EpisodeWriter | None = None
    raws: dict[int, dict[str, Raw]] = field(default_factory=dict)
    sides: dict[int, list[Raw]] = field(default_factory=dict)
    next_step: int = 0
    next_told: int = 0
    ended_ns: int = 0
    is_synced: bool = True
    syncing: Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        return self.table.last_step >= 0 and not self.ended_ns


class Recording:
    """Feed it states, parts and side messages; it returns rows that are ready to be told.

    ``trouble`` is the newest reason why something was not recorded, blank for none. Making a
    file whole waits for the disk, seconds at worst: hand in a ``pool`` where that must not
    block, and call ``on_time`` now and then. ``is_owed`` says whether something beside the rows
    of an episode is on its way, for which its end waits as for a missing part.
    """

    def __init__(
        self, run_folder: Path, params: RecorderParams, pool: Executor | None = None,
        is_owed: Callable[[str], bool] = lambda episode_id: False,
    ) -> None:  # fmt: skip
        self.run_folder = Path(run_folder)
        self.trouble = ""
        self.finished: dict[str, Path] = {}
        self._params, self._pool, self._is_owed = params, pool, is_owed
        self._closing: deque[tuple[_Open, Future[Path]]] = deque()
        self._open: dict[str, _Open] = {}
        self._refused: set[str] = set()
        self._early: deque[tuple[Part, Raw]] = deque(maxlen=_EARLY)
        self._heard = EpisodeState()
        self._aside = set[str]()

    @property
    def is_recording(self) -> bool:
        """Whether messages beside the rows are kept: from the first part of an episode to its end."""
        return any(one.has_begun for one in self._open.values())

    def on_state(self, state: EpisodeState, now_ns: int) -> list[Row]:
        """Begin an episode when one is announced, and note when it ends."""
        told: list[Row] = []
        before, self._heard = self._heard, state
        if state.sets_aside:
            self._set_aside(state.sets_aside)
        for other in [o for o in self._open.values() if o.state.episode_id != state.episode_id and not o.ended_ns]:
            why, end = "its end was not announced", min(other.state.judged_step, other.table.last_step)
            lost = replace(other.state, outcome=ABORTED, end_step=end, reason=why)
            told += self._ended(other, lost, now_ns)
        one = self._open.get(state.episode_id)
        if one is None:
            why = self._why_lost(before) if before.episode_id != state.episode_id else ""
            if state.phase in (READY, *LIVE) and not state.outcome:
                told += self._begin(state, now_ns)
            self.trouble = self.trouble or why
            return told + self._catch_up(now_ns)
        if state.outcome:
            return told if one.ended_ns else told + self._ended(one, state, now_ns)
        one.state = state
        return told + self._tell(one)

    def on_part(self, part: Part, raw: Raw, now_ns: int) -> list[Row]:
        """Join one observation, decision or answer."""
        one = self._open.get(part.episode_id)
        if one is None:
            if isinstance(part, RewardAnswer) and part.episode_id in self.finished:
                self._label(part)
            elif part.episode_id not in self._refused:
                self._early.append((part, raw))
                return self._catch_up(now_ns) if _is_first(part) else []
            return []
        # The table keeps numbers only; pictures stay in the raw bytes until they are written.
        slim = replace(part, images={}, features=_NO_FEATURES) if isinstance(part, Observation) else part
        if one.table.add(slim) is None:
            return []
        if part.step < one.next_step:
            self._safely(one, [raw])
        else:
            one.raws.setdefault(part.step, {})[TOPIC_OF[type(part)]] = raw
            self._write_rows(one)
        return self._tell(one) + self._close_if_whole(one, now_ns)

    def on_side(self, raw: Raw, episode_id: str = "", step: int = -1) -> None:
        """Keep a message beside the rows: with ``step`` of ``episode_id``, else from an episode's first part on."""
        if episode_id:
            one = self._open.get(episode_id)
            if one is not None and step >= one.next_step:
                one.sides.setdefault(step, []).append(raw)
            elif one is not None:
                self._safely(one, [raw])
            return
        for one in list(self._open.values()):
            if one.has_begun:
                self._safely(one, [raw], flush=False)

    def on_time(self, now_ns: int) -> list[Row]:
        """Close episodes whose missing parts did not come in time."""
        self._settle()
        for one in list(self._open.values()):
            self._sync(one)
        return [row for one in list(self._open.values()) for row in self._close_if_whole(one, now_ns)]

    def stop(self, reason: str) -> list[Row]:
        """Close everything, whole."""
        told: list[Row] = []
        for one in list(self._open.values()):
            if not one.ended_ns:
                end = max((row.step for row in one.table.rows if row.is_complete), default=-1)
                one.state = replace(one.state, outcome=ABORTED, end_step=end, reason=reason)
            told += self._close(one)
        self._settle(STOP_WAIT_S)
        return told

    # -- one episode ----------------------------------------------------------------

    def _begin(self, state: EpisodeState, now_ns: int) -> list[Row]:
        if state.episode_id in self._refused or not self._has_good_name(state):
            return []
        try:
            free_mb = shutil.disk_usage(self.run_folder).free // 1_000_000
        except OSError as why:  # the folder is gone: the episode is lost, the recorder is not
            self._refused.add(state.episode_id)
            self.trouble = f"{state.episode_id} is not recorded: {why}"
            return []
        if free_mb < self._params.disk_floor_mb:
            self._refused.add(state.episode_id)
            self.trouble = (
                f"{state.episode_id} is not recorded: {free_mb} MB free on the disk of {self.run_folder}, "
                f"{self._params.disk_floor_mb} wanted; free some space"
            )
            return []
        self.trouble = ""
        self._open[state.episode_id] = _Open(state, StepTable(state.episode_id))
        early = [(part, raw) for part, raw in self._early if part.episode_id == state.episode_id]
        later = [(part, raw) for part, raw in self._early if part.episode_id != state.episode_id]
        self._early.clear()
        self._early.extend(later)
        return [row for part, raw in early for row in self.on_part(part, raw, now_ns)]

    def _catch_up(self, now_ns: int) -> list[Row]:
        """Begin and end an episode whose beginning was not heard: one that is over while this process stood still.

        Of its states the newest alone is there then, but every part. Its first part came after this process began, so
        no file of it is there.
        """
        state = self._heard
        is_heard = any(_is_first(part) and part.episode_id == state.episode_id for part, _ in self._early)
        if not state.outcome or not is_heard or self._is_known(state.episode_id):
            return []
        if state.phase == PAUSED:  # it says why practice waits, and no longer why the episode ended
            state = replace(state, reason="")
        told = self._begin(replace(state, phase=READY, judged_step=-1, outcome="", end_step=-1, mark=""), now_ns)
        one = self._open.get(state.episode_id)
        return told if one is None else told + self._ended(one, state, now_ns)

    def _is_known(self, episode_id: str) -> bool:
        closing = (one.state.episode_id for one, _ in self._closing)
        return episode_id in (*self._open, *self.finished, *self._refused, *self._aside, *closing)

    def _why_lost(self, state: EpisodeState) -> str:
        """Return why nothing is kept of an episode that is over; blank where something is, or none of it was heard."""
        is_heard = any(part.episode_id == state.episode_id for part, _ in self._early)
        is_lost = state.outcome and is_heard and not self._is_known(state.episode_id)
        if not is_lost or (self._home(state) / "episodes" / f"{state.episode_id}.mcap").exists():
            return ""
        return f"{state.episode_id} is not recorded: its beginning was not heard; the recorder stood still for too long"

    def _home(self, state: EpisodeState) -> Path:
        """Return the folder whose ``episodes`` an episode goes to: what evaluation made is not learnt from."""
        return self.run_folder / EVALUATIONS if state.purpose == EVALUATION else self.run_folder

    def _has_good_name(self, state: EpisodeState) -> bool:
        """Whether a file can be called so; a name used before is not used twice."""
        episode_id, folder = state.episode_id, self._home(state) / "episodes"
        try:
            checked_name(episode_id, "episode_id")
            if (folder / f"{episode_id}.mcap").exists():  # so it is after a restart in mid-episode, too
                raise ValueError(f"{folder / episode_id}.mcap is there already; an episode id is used once")
        except ValueError as why:
            self._refused.add(episode_id)
            self.trouble = f"{episode_id!r} is not recorded: {why}"
            return False
        return True

    def _ended(self, one: _Open, state: EpisodeState, now_ns: int) -> list[Row]:
        one.state, one.ended_ns = state, max(now_ns, 1)
        if state.mark == DISCARDED:
            self._aside.add(state.episode_id)
        return self._tell(one) + self._close_if_whole(one, now_ns)

    def _close_if_whole(self, one: _Open, now_ns: int) -> list[Row]:
        if not one.ended_ns or one.state.episode_id not in self._open:
            return []
        end = one.state.end_step
        # what a failure's last step taught is learnt from, too: it is waited for where the one before was answered
        is_due = one.state.outcome == SUCCESS or (end > 0 and one.table.row(end - 1).answer is not None)
        answered = one.state.outcome == ABORTED or not is_due or one.table.row(end).answer is not None
        waited_s = (now_ns - one.ended_ns) / 1e9
        is_whole = one.table.is_complete_through(end) and answered and not self._is_owed(one.state.episode_id)
        if not is_whole and waited_s < self._params.close_wait_s:
            return []
        return self._close(one)

    def _close(self, one: _Open) -> list[Row]:
        """Write what is left up to the last step, holes included, and give the file its name."""
        state = one.state
        while one.next_step <= min(state.end_step, one.table.last_step) and state.episode_id in self._open:
            self._write_row(one, one.next_step)
        told = self._tell(one, everything=True)
        if self._open.pop(state.episode_id, None) is None or one.writer is None:
            return told
        if not one.next_step:  # no row of it is in the file
            one.writer.discard()
            return told
        close = partial(one.writer.close, state.outcome, state.end_step, state.reason, state.mark, state.stands_m)
        self._closing.append((one, self._pool.submit(close) if self._pool else _at_once(close)))
        self._settle()
        return told

    def _settle(self, wait_s: float = 0.0) -> None:
        """Note which files are whole by now."""
        wait([future for _, future in self._closing], timeout=wait_s)
        while self._closing and self._closing[0][1].done():
            one, future = self._closing.popleft()
            try:
                path = future.result(timeout=0)
            except OSError as why:
                self._give_up(one, why)
                continue
            try:
                self._finish(one.state, path)
            except OSError as why:
                self.trouble = f"{path.name} is whole, but what was said of it is not kept: {why.strerror or why}"
        for old in list(self.finished)[:-_REMEMBERED]:
            del self.finished[old]

    def _finish(self, state: EpisodeState, path: Path) -> None:
        """A file is whole: keep what the operator said of it, or set it aside."""
        if state.episode_id in self._aside:
            self._trash(state.episode_id, self._home(state))
            return
        self.finished[state.episode_id] = path
        if (labels := operator_labels(state)) is not None:
            write_labels(self._home(state), labels)

    def _set_aside(self, episode_id: str) -> None:
        """An episode is recorded again: its files go to the trash, now or once they are whole."""
        is_whole = episode_id not in self._open and all(one.state.episode_id != episode_id for one, _ in self._closing)
        self._aside.add(episode_id)
        if is_whole:
            self._trash(episode_id, self.run_folder)

    def _trash(self, episode_id: str, home: Path) -> None:
        """Set aside all that is called so: the file, and a film of it."""
        self.finished.pop(episode_id, None)
        for path in sorted((home / "episodes").glob(f"{checked_name(episode_id, 'episode_id')}.*")):
            trash(path)

    def _write_rows(self, one: _Open) -> None:
        """Write rows that are complete, in step order; a hole is passed once two later rows are complete."""
        while one.state.episode_id in self._open:
            step = one.next_step
            newer = sum(one.table.row(later).is_complete for later in one.raws if later > step)
            if not one.table.row(step).is_complete and newer < 2:
                return
            if step > one.table.last_step:
                return
            self._write_row(one, step)

    def _write_row(self, one: _Open, step: int) -> None:
        parts = one.raws.pop(step, {})
        in_order = [parts[topic] for topic in STEP_TOPICS if topic in parts]
        one.next_step = step + 1
        self._safely(one, in_order + one.sides.pop(step, []))

    def _safely(self, one: _Open, raws: list[Raw], flush: bool = True) -> None:
        """Append and flush; a disk that refuses ends this episode, whole."""
        try:
            if one.writer is None:
                one.writer = EpisodeWriter(self._home(one.state) / "episodes", one.state)
            for raw in raws:
                one.writer.write_raw(raw.topic, raw.type_name, raw.stamp_ns, raw.data)
            if flush:
                one.writer.flush()
                one.is_synced = False
                self._sync(one)
        except OSError as why:
            self._give_up(one, why)

    def _sync(self, one: _Open) -> None:
        """Force flushed steps to disk, those of a slow disk's wait together: so much a power cut may cost."""
        if one.writer is None or self._params.sync != "step":
            return
        if one.syncing is not None:
            if not one.syncing.done():
                return
            done, one.syncing = one.syncing, None
            if isinstance(why := done.exception(timeout=0), OSError):
                self._give_up(one, why)
                return
        if not one.is_synced:
            one.is_synced = True
            one.syncing = self._pool.submit(one.writer.sync) if self._pool else _at_once(one.writer.sync)

    def _give_up(self, one: _Open, why: OSError) -> None:
        episode_id = one.state.episode_id
        self._open.pop(episode_id, None)
        self._refused.add(episode_id)
        text = (
            str(readable(why, self._home(one.state) / "episodes" / f"{episode_id}.mcap")) if why.strerror else str(why)
        )
        self.trouble = f"recording of {episode_id} ended early: {text}"
        if one.writer is None:
            return
        one.writer.abandon()
        try:
            done = salvage(one.writer.part, text)
        except (OSError, ValueError) as worse:
            self.trouble += f"; its file is left for the next start ({worse})"
        else:
            self.trouble += f"; {done.steps} whole steps kept"

    def _tell(self, one: _Open, everything: bool = False) -> list[Row]:
        """Rows that nothing can change in time for the vote: answered, or judged without an answer."""
        told = []
        end = one.state.end_step if one.ended_ns or one.state.outcome else one.table.last_step
        while one.next_told <= min(end, one.table.last_step):
            row = one.table.row(one.next_told)
            # a change of hands leaves a step without any part
            is_hole = row.step < one.next_step and row.observation is None and row.decision is None
            settled = (row.is_complete or is_hole) and (row.answer is not None or one.state.judged_step >= row.step)
            if not settled and not everything:
                break
            told.append(row)
            one.next_told += 1
        return told

    def _label(self, answer: RewardAnswer) -> None:
        """An answer after the file was closed goes to the labels."""
        try:
            episode = read_episode(path := self.finished[answer.episode_id])
            home = path.parent.parent
            write_labels(home, patched(read_labels(home, episode), [answer]))
        except (OSError, ValueError) as why:
            self.trouble = f"late answer for {answer.episode_id} was not kept: {why}"


_NO_FEATURES = np.zeros(0, np.float32)


def _is_first(part: Part) -> bool:
    return isinstance(part, Observation) and part.step == 0


def _at_once(work: Callable[[], T]) -> Future[T]:
    done: Future[T] = Future()
    try:
        done.set_result(work())
    except OSError as why:
        done.set_exception(why)
    return done
