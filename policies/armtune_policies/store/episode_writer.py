"""One episode, one MCAP file: appended as it happens, renamed when whole.

From a process without ROS it takes three lines::

    with EpisodeWriter(run_folder / "episodes", EpisodeState(episode_id="run-00000", task="drawer", ...)) as episode:
        episode.add_step(observation=observation, decision=decision, answer=answer)   # once per step, in order
        episode.close("success", end_step=episode.steps - 1)

The file is unchunked, so that whatever was flushed can be read after a crash
(``store.salvage``), and opens in the ``rosbags`` and ``mcap`` readers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from armtune_policies.contract import Decision, RewardAnswer, topics

from . import records, schemas
from .files import checked_name, flush_folder, hold, let_go, readable
from .mcap_file import Messages
from .nouns import ABORTED, ACTING, RESTING, SUCCESS, TIMEOUT, EpisodeState, Observation

PART = ".part"
ABOUT = "episode"
"""Name of the MCAP metadata record that says which episode, run, task and config."""

TOPIC_OF = {
    Observation: topics.OBSERVATION,
    Decision: topics.DECISION,
    RewardAnswer: topics.REWARD_ANSWER,
    EpisodeState: topics.EPISODE_STATE,
}


class EpisodeWriter:
    """Appends to ``<episode_id>.mcap.part``; only ``close`` gives the file its name.

    Args:
        folder: The run's ``episodes`` folder; made when missing.
        about: Which episode this is; its ``episode_id`` names the file.
        extra: More text for the metadata record (seed, machine, versions).

    Raises:
        ValueError: for an episode id that will not do as a file name.
        FileExistsError: when the episode or its ``.part`` is there already.
        OSError: when the disk refuses; every write may raise it, see ``abandon``.
    """

    def __init__(self, folder: Path, about: EpisodeState, extra: Mapping[str, str] | None = None) -> None:
        checked_name(about.episode_id, "episode_id")
        self.path = Path(folder) / f"{about.episode_id}.mcap"
        self.part = self.path.with_name(self.path.name + PART)
        self.steps = 0
        self._about = replace(about, phase=ACTING, outcome="", end_step=-1)
        self._is_named = False
        if self.path.exists():
            raise FileExistsError(f"{self.path} is there already; an episode id is used once")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.part, "xb")
        hold(self._file)  # else a salvage of it from another process would end the episode
        facts = asdict(self._about)
        named = ("run_id", "episode_id", "index", "task", "direction", "sentence", "config_hash", "calibration_hash")
        said = {**{key: str(facts[key]) for key in named}, **dict(extra or {})}
        self._messages = Messages(self._file, ABOUT, said)
        for topic, type_name in schemas.STEP_TOPICS.items():
            self._messages.channel(topic, type_name)
        self.write(self._about, about.stamp_ns)
        self.flush()

    def write_raw(self, topic: str, type_name: str, stamp_ns: int, data: bytes) -> None:
        """Append a message as CDR bytes; see ``Messages.add``."""
        with self._in_words():
            self._messages.add(topic, type_name, stamp_ns, data)

    def write(self, value: records.Value, stamp_ns: int, topic: str | None = None) -> None:
        """Append a contract value on its topic."""
        type_name, data = records.encode(value)
        self.write_raw(topic or TOPIC_OF[type(value)], type_name, stamp_ns, data)

    def add_step(self, *, observation: Observation, decision: Decision, answer: RewardAnswer | None = None) -> None:
        """Append one whole control step and flush it; steps come in order.

        Raises:
            ValueError: when the three do not name this episode and one step.
            OSError: when the disk refuses.
        """
        for value in (observation, decision, answer):
            if value is not None and (value.episode_id, value.step) != (self._about.episode_id, observation.step):
                raise ValueError(
                    f"expected step {observation.step} of {self._about.episode_id}, "
                    f"got a {type(value).__name__} of step {value.step} of {value.episode_id}"
                )
        for value in (observation, decision, answer):
            if value is not None:
                self.write(value, observation.stamp_ns)
        self.steps += 1
        self.flush()

    def write_view(self, camera: str, jpeg: bytes, stamp_ns: int) -> None:
        """Append the full-size view of a camera, as evidence."""
        head = records.header(stamp_ns, f"{camera}_optical")
        data = np.frombuffer(jpeg, np.uint8)
        message = schemas.message(schemas.COMPRESSED_IMAGE, header=head, format="jpeg", data=data)
        self.write_raw(topics.compressed(camera), schemas.COMPRESSED_IMAGE, stamp_ns, schemas.encode(message))

    def flush(self) -> None:
        """Hand what was written to the operating system: it outlives this process."""
        with self._in_words():
            self._file.flush()

    def sync(self) -> None:
        """Force what was flushed to the disk: it outlives a power cut. Waits for the disk; any thread may call it."""
        with self._in_words(), contextlib.suppress(ValueError):  # let go of meanwhile
            os.fdatasync(self._file.fileno())
            if not self._is_named:
                flush_folder(self.path.parent)  # else a power cut leaves bytes without a name
                self._is_named = True

    def close(
        self, outcome: str, end_step: int, reason: str = "", mark: str = "", stands_m: tuple[float, ...] | None = None
    ) -> Path:
        """End the episode, make the file whole and give it its name.

        Args:
            outcome: ``success``, ``timeout`` or ``aborted``.
            end_step: Last step of the episode, -1 when it has none.
            reason: For people.
            mark: One of ``nouns.WORDS``, blank for none.
            stands_m: Where the thing stood as it began [m], as is known by now; None: as was known then.

        Raises:
            OSError: when the disk refuses; the ``.part`` then stays for ``salvage``.
        """
        if outcome not in (SUCCESS, TIMEOUT, ABORTED):
            raise ValueError(f"outcome: expected success, timeout or aborted; got {outcome!r}")
        ended: dict[str, Any] = {"outcome": outcome, "end_step": end_step, "reason": reason, "mark": mark}
        ended["stands_m"] = self._about.stands_m if stands_m is None else stands_m
        final = replace(self._about, phase=RESTING, sets_aside="", **ended)
        try:
            self.write(replace(final, stamp_ns=self._messages.last_ns), self._messages.last_ns)
            self._messages.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self.part.replace(self.path)
            flush_folder(self.path.parent)
            self._file.close()
        except OSError as why:
            self.abandon()
            raise readable(why, self.path) from None
        return self.path

    def abandon(self) -> None:
        """Let go of the file and leave the ``.part`` for ``store.salvage``."""
        if not self._file.closed:
            let_go(self._file)
        with contextlib.suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """Throw the episode away: nothing of it stays."""
        self.abandon()
        self.part.unlink(missing_ok=True)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        if not self._file.closed:
            self.discard()

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Let a disk that refuses say which file, and what to do."""
        try:
            yield
        except OSError as why:
            raise readable(why, self.path) from None
