"""The learner as a process: asked over stdin, answering over stdout, one JSON object a line.

::

    python -m armtune_policies.learn.process '{"policy_folder": ..., "run_folder": ..., ...}'

A line in, ``{"episode_id": ...}``, asks for a refit on all that is finished, that episode
included. Lines out have an ``event``: ``ready``, ``progress``, ``offer`` (with version,
folder, manifest_digest), ``nothing`` (no head came of it: reason) or ``skipped`` (a file that
cannot be read: reason). The end of stdin ends the process,
whatever it is doing: every file it writes is whole or absent.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from armtune_policies.contract import ActionSpec, Checked, ConfigError, ObservationSpec, choice, file_digest, num, text
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.manifest import MANIFEST

EPISODE_FILE_S = 5.0
"""How long to wait for the file of the episode a request names; the recorder closes it within 2 s."""


@dataclass(frozen=True, kw_only=True)
class LearnerJob(Checked):
    """What the process is told, as one JSON object on its command line."""

    policy_folder: str = text(doc="whose encoder and head it goes on from")
    run_folder: str = text(doc="episodes are read from here, heads written under models/")
    demos_folder: str = text("", doc="run with demonstrations to keep learning from; blank for none")
    cameras: tuple[str, ...] = text(("front",), doc="of the observation spec")
    height_px: int = num(96, low=16, high=512, doc="of the observation spec")
    width_px: int = num(96, low=16, high=512, doc="of the observation spec")
    rate_hz: float = num(5.0, low=5.0, high=50.0, doc="of the action spec")
    recipe: str = choice("bc", of=("bc",), doc="how the head is refitted")
    updates: int = num(300, low=1, high=1_000_000, doc="gradient steps per refit")
    batch: int = num(128, low=2, high=4096, doc="rows per gradient step")
    learning_rate: float = num(3e-4, low=1e-6, high=1e-1, doc="step size of the optimiser")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of batches and noise")
    nice: int = num(10, low=0, high=19, doc="how far to step back for control")
    memory_mb: int = num(8192, low=1024, high=1_048_576, doc="address space")


class Learner:
    """Keeps the refitter and what it has read; tells what happens line by line."""

    def __init__(self, job: LearnerJob, out: TextIO) -> None:
        from .bc import RefitParams  # torch: seconds to import, after nice and the memory cap
        from .refit import Refitter

        self._job, self._out = job, out
        action = ActionSpec(rate_hz=job.rate_hz)
        spec = ObservationSpec(cameras=job.cameras, height_px=job.height_px, width_px=job.width_px)
        params = RefitParams(updates=job.updates, batch=job.batch, learning_rate=job.learning_rate)
        self._refitter = Refitter(Path(job.policy_folder), action, spec, params)
        self._read: set[Path] = set()

    def tell(self, event: str, **values: Any) -> None:
        """Write one line."""
        self._out.write(json.dumps({"event": event, **values}) + "\n")
        self._out.flush()

    def gather(self) -> None:
        """Read every finished episode not read yet; one that cannot be read is skipped and said."""
        for folder, is_own in ((self._job.demos_folder, False), (self._job.run_folder, True)):
            for path in list_episodes(Path(folder)) if folder else ():
                if path in self._read:
                    continue
                self._read.add(path)
                try:
                    self._refitter.add(read_episode(path), is_own)
                except (OSError, ValueError) as why:
                    self.tell("skipped", reason=str(why))
                self.tell("progress", read=len(self._read))

    def refit(self, episode_id: str) -> None:
        """Refit on everything gathered, and offer the head."""
        self._await_file(episode_id)
        self.gather()
        number, folder = self._next_folder()
        about = {
            "recipe": self._job.recipe,
            "seed": self._job.seed,
            "run": Path(self._job.run_folder).name,
            "after": episode_id,
        }
        try:
            manifest = self._refitter.offer(
                folder, folder.name, self._job.seed + number, about, lambda p: self.tell("progress", update=p.step)
            )
        except (OSError, ValueError) as why:
            self.tell("nothing", reason=str(why))
            return
        digest = file_digest(folder / MANIFEST)
        metrics = {
            "updates": self._job.updates,
            "loss": manifest.metrics["loss"],
            "episodes": len(self._refitter.episode_ids),
        }
        self.tell("offer", version=manifest.version, folder=str(folder.resolve()), manifest_digest=digest, **metrics)

    def _await_file(self, episode_id: str) -> None:
        wanted = Path(self._job.run_folder) / "episodes" / f"{episode_id}.mcap"
        end_s = time.monotonic() + EPISODE_FILE_S
        while episode_id and not wanted.exists() and time.monotonic() < end_s:
            time.sleep(0.05)

    def _next_folder(self) -> tuple[int, Path]:
        models = Path(self._job.run_folder) / "models"
        taken = [int(p.name[5:]) for p in models.glob("head-*") if p.name[5:].isdigit()]
        number = max(taken, default=0) + 1
        return number, models / f"head-{number:04d}"


def serve(learner: Learner, lines: queue.Queue[str]) -> None:
    """Answer requests; the process ends when the other side closes the line."""
    learner.gather()
    learner.tell("ready")
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
    os.nice(job.nice)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_mb << 20, job.memory_mb << 20))
    # Libraries may print; the line belongs to events alone.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    lines: queue.Queue[str] = queue.Queue(maxsize=100)
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        serve(Learner(job, out), lines)
    except ConfigError as why:
        _refuse(why)
    except (OSError, ValueError) as why:
        sys.exit(f"error: learner: {why}")


def _refuse(why: ValueError) -> NoReturn:
    """End with what says that starting again cannot help (sysexits.h)."""
    print(f"error: learner: {why}", file=sys.stderr)
    sys.exit(os.EX_CONFIG)


if __name__ == "__main__":
    main()
