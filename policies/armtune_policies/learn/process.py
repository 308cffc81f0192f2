"""The learner as a process: asked over stdin, answering over stdout, one JSON object a line.

::

    python -m armtune_policies.learn.process '{"policy_folder": ..., "run_folder": ..., ...}'

A line in, ``{"episode_id": ...}``, asks for a refit on all that is finished, that episode
included. Lines out have an ``event``: ``ready`` (with a head that stands, as in
``offer``, or none), ``progress``, ``offer`` (with version, folder, manifest_digest), ``nothing`` (no head came of it:
reason) or ``skipped`` (a file that cannot be read: reason). The end of stdin ends the process,
whatever it is doing: every file it writes is whole or absent.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
from pathlib import Path
from typing import NoReturn, TextIO

from armtune_policies.contract import ConfigError
from armtune_policies.contract.priority import ask_priority
from armtune_policies.store.edits import kept_paths, read_kept

from .job import LearnerJob, Pupil


class Learner(Pupil):
    """The recipe ``bc``: keeps the refitter and what it has read."""

    def __init__(self, job: LearnerJob, out: TextIO) -> None:
        from .bc import RefitParams  # torch: seconds to import, after nice and the memory cap
        from .refit import Refitter

        super().__init__(job, out)
        params = RefitParams(updates=job.updates, batch=job.batch, learning_rate=job.learning_rate)
        self._refitter = Refitter(Path(job.policy_folder), job.action, job.observation, params)
        self._read: set[Path] = set()
        self._why_pause = ""

    def gather(self) -> None:
        """Read every finished episode not read yet; one that cannot be read is skipped and said."""
        shown = kept_paths(Path(self.job.demos_folder)) if self.job.demos_folder else ()
        for path, is_own in (*((path, False) for path in shown), *((path, True) for path in self.paths())):
            if path in self._read:
                continue
            self._read.add(path)
            try:
                episode = read_kept(path)
                self._refitter.add(episode, is_own)
                self._why_pause = self.why_pause(episode) if is_own else self._why_pause
            except (OSError, ValueError) as why:
                self.tell("skipped", reason=str(why))
            self.tell("progress", read=len(self._read))

    def refit(self, episode_id: str) -> None:
        """Refit on everything gathered, and offer the head; not while the reward model cannot say."""
        self.await_file(episode_id)
        self.gather()
        if self._why_pause:
            self.tell("nothing", reason=self._why_pause)
            return
        number, folder = self._next_folder()
        about, seed = self.about(episode_id), self.job.seed + number
        try:
            told = lambda p: self.tell("progress", update=p.step)  # noqa: E731
            manifest = self._refitter.offer(folder, folder.name, seed, about, told)
        except (OSError, ValueError) as why:
            self.tell("nothing", reason=str(why))
            return
        loss, episodes = manifest.metrics["loss"], len(self._refitter.episode_ids)
        self.tell_offer(folder, manifest, updates=self.job.updates, loss=loss, episodes=episodes)

    def _next_folder(self) -> tuple[int, Path]:
        models = Path(self.job.run_folder) / "models"
        taken = [int(p.name[5:]) for p in models.glob("head-*") if p.name[5:].isdigit()]
        number = max(taken, default=0) + 1
        return number, models / f"head-{number:04d}"


def pupil(job: LearnerJob, out: TextIO) -> Pupil:
    """Return who learns by the job's recipe.

    Raises:
        ValueError: when policy or data will not do.
    """
    if job.recipe == "bc":
        return Learner(job, out)
    from .online_pupil import OnlinePupil

    return OnlinePupil(job, out)


def serve(learner: Pupil, lines: queue.Queue[str]) -> None:
    """Answer requests; the process ends when the other side closes the line."""
    learner.gather()
    learner.tell("ready", **learner.standing())
    while True:
        try:
            line = lines.get(timeout=1.0)
        except queue.Empty:
            continue
        learner.refit(str(json.loads(line).get("episode_id", "")))


def _listen(lines: queue.Queue[str]) -> None:
    """Read requests; when the other side is gone, so are we, also in the middle of a refit."""
    for line in sys.stdin:
        if line.strip():
            lines.put(line)
    os._exit(0)


def main(argv: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if argv is None else argv
    try:
        job = LearnerJob.from_mapping(json.loads(arguments[0]) if arguments else {})
    except ValueError as why:
        _refuse(why)
    ask_priority(job.nice)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_mb << 20, job.memory_mb << 20))
    # Libraries may print; the line belongs to events alone.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    lines: queue.Queue[str] = queue.Queue(maxsize=100)
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        _learn(job, out, lines)
    except Exception as why:
        if not _is_out_of_memory(why):
            raise
        text = f"it needs more than the {job.memory_mb} MB of address space that it may take"
        sys.exit(f"error: learner: out of memory: {text}; raise learner.memory_mb, or learn from less")


def _learn(job: LearnerJob, out: TextIO, lines: queue.Queue[str]) -> None:
    try:
        learner = pupil(job, out)
    except ValueError as why:  # settings and the policy it is to improve are the same after a restart
        _refuse(why)
    try:
        serve(learner, lines)
    except ConfigError as why:
        _refuse(why)
    except (OSError, ValueError) as why:
        if _is_out_of_memory(why):
            raise
        sys.exit(f"error: learner: {why}")


def _is_out_of_memory(why: Exception) -> bool:
    """Whether an allocation was refused: each library says so by a type of its own, torch by a RuntimeError."""
    return isinstance(why, MemoryError) or "allocate memory" in str(why)  # ENOMEM says so, too


def _refuse(why: ValueError) -> NoReturn:
    """End with what says that starting again cannot help (sysexits.h)."""
    print(f"error: learner: {why}", file=sys.stderr)
    sys.exit(os.EX_CONFIG)


if __name__ == "__main__":
    main()
