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

import numpy as np

from armtune_policies.contract import Decision, RewardAnswer, topics

from .episode_reader import read_episode
from .episode_writer import TOPIC_OF, EpisodeWriter
from .files import readable
from .labels import patched, read_labels, write_labels
from .nouns import ABORTED, ACTING, READY, SUCCESS, EpisodeState, Observation
from .salvage import salvage
from .schemas import STEP_TOPICS
from .settings import RecorderParams
from .step_table import Row, StepTable

Part = Observation | Decision | RewardAnswer
_REMEMBERED = 8
"""How many closed episodes still take late answers."""
STOP_WAIT_S = 2.0
"""How long stopping waits for the disk; what is not whole by then is salvaged at the next start."""
_EARLY = 16
"""How many parts wait for their episode to be announced: topics may overtake each other."""


@dataclass(frozen=True)
class Raw:
    """A message as it came over the wire."""

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes


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


class Recording:
    """Feed it states, parts and side messages; it returns rows that are ready to be told.

    ``trouble`` is the newest reason why something was not recorded, blank for none. Making a
    file whole waits for the disk, seconds at worst: hand in a ``pool`` where that must not
    block, and call ``on_time`` now and then.
    """

    def __init__(self, run_folder: Path, params: RecorderParams, pool: Executor | None = None) -> None:
        self.run_folder = Path(run_folder)
        self.folder = self.run_folder / "episodes"
        self.trouble = ""
        self.finished: dict[str, Path] = {}
        self._params, self._pool = params, pool
        self._closing: deque[tuple[_Open, Future[Path]]] = deque()
        self._open: dict[str, _Open] = {}
        self._refused: set[str] = set()
        self._early: deque[tuple[Part, Raw]] = deque(maxlen=_EARLY)

    @property
    def is_recording(self) -> bool:
        return any(one.writer is not None for one in self._open.values())

    def on_state(self, state: EpisodeState, now_ns: int) -> list[Row]:
        """Begin an episode when one is announced, and note when it ends."""
        told: list[Row] = []
        for other in [o for o in self._open.values() if o.state.episode_id != state.episode_id and not o.ended_ns]:
            why, end = "its end was not announced", other.state.judged_step
            lost = replace(other.state, outcome=ABORTED, end_step=end, reason=why)
            told += self._ended(other, lost, now_ns)
        one = self._open.get(state.episode_id)
        if one is None:
            if state.phase in (READY, ACTING) and not state.outcome:
                told += self._begin(state, now_ns)
            return told
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
        """Keep a message beside the rows: with ``step`` of ``episode_id``, else while any episode is acted."""
        if episode_id:
            one = self._open.get(episode_id)
            if one is not None and step >= one.next_step:
                one.sides.setdefault(step, []).append(raw)
            elif one is not None:
                self._safely(one, [raw])
            return
        for one in list(self._open.values()):
            if one.writer is not None and not one.ended_ns:
                self._safely(one, [raw], flush=False)

    def on_time(self, now_ns: int) -> list[Row]:
        """Close episodes whose missing parts did not come in time."""
        self._settle()
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
        if state.episode_id in self._refused or (self.folder / f"{state.episode_id}.mcap").exists():
            return []  # after a restart in mid-episode, what was salvaged is all there is
        free_mb = shutil.disk_usage(self.run_folder).free // 1_000_000
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
        self._early.clear()
        return [row for part, raw in early for row in self.on_part(part, raw, now_ns)]

    def _ended(self, one: _Open, state: EpisodeState, now_ns: int) -> list[Row]:
        one.state, one.ended_ns = state, max(now_ns, 1)
        return self._tell(one) + self._close_if_whole(one, now_ns)

    def _close_if_whole(self, one: _Open, now_ns: int) -> list[Row]:
        if not one.ended_ns or one.state.episode_id not in self._open:
            return []
        end = one.state.end_step
        answered = one.state.outcome != SUCCESS or one.table.row(end).answer is not None
        waited_s = (now_ns - one.ended_ns) / 1e9
        if not (one.table.is_complete_through(end) and answered) and waited_s < self._params.close_wait_s:
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
        close = partial(one.writer.close, state.outcome, state.end_step, state.reason)
        self._closing.append((one, self._pool.submit(close) if self._pool else _at_once(close)))
        self._settle()
        return told

    def _settle(self, wait_s: float = 0.0) -> None:
        """Note which files are whole by now."""
        wait([future for _, future in self._closing], timeout=wait_s)
        while self._closing and self._closing[0][1].done():
            one, future = self._closing.popleft()
            try:
                self.finished[one.state.episode_id] = future.result(timeout=0)
            except OSError as why:
                self._give_up(one, why)
        for old in list(self.finished)[:-_REMEMBERED]:
            del self.finished[old]

    def _write_rows(self, one: _Open) -> None:
        """Write rows that are complete, in step order; a hole is passed once two later rows are complete."""
        while one.state.episode_id in self._open:
            step = one.next_step
            newer = sum(row.is_complete for row in one.table.rows if row.step > step)
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
                one.writer = EpisodeWriter(self.folder, one.state)
            for raw in raws:
                one.writer.write_raw(raw.topic, raw.type_name, raw.stamp_ns, raw.data)
            if flush:
                one.writer.flush()
        except OSError as why:
            self._give_up(one, why)

    def _give_up(self, one: _Open, why: OSError) -> None:
        episode_id = one.state.episode_id
        self._open.pop(episode_id, None)
        self._refused.add(episode_id)
        text = str(readable(why, self.folder / f"{episode_id}.mcap")) if why.strerror else str(why)
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
            settled = row.is_complete and (row.answer is not None or one.state.judged_step >= row.step)
            if not settled and not everything:
                break
            told.append(row)
            one.next_told += 1
        return told

    def _label(self, answer: RewardAnswer) -> None:
        """An answer after the file was closed goes to the labels."""
        try:
            episode = read_episode(self.finished[answer.episode_id])
            write_labels(self.run_folder, patched(read_labels(self.run_folder, episode), [answer]))
        except (OSError, ValueError) as why:
            self.trouble = f"late answer for {answer.episode_id} was not kept: {why}"


_NO_FEATURES = np.zeros(0, np.float32)


def _at_once(work: Callable[[], Path]) -> Future[Path]:
    done: Future[Path] = Future()
    try:
        done.set_result(work())
    except OSError as why:
        done.set_exception(why)
    return done


def evidence_topic(camera: str) -> str:
    """Where the full-size view of a camera is kept in the file."""
    return f"{topics.image(camera)}/compressed"
