"""What the learner process is told, and how it answers: one JSON object a line."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from armtune_policies.contract import (
    AS_TRAINED,
    ActionSpec,
    Checked,
    ConfigError,
    ObservationSpec,
    Verdict,
    choice,
    file_digest,
    num,
    text,
)
from armtune_policies.store.edits import kept_paths
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import MANIFEST, Manifest
from armtune_policies.store.nouns import SUCCESS

EPISODE_FILE_S = 5.0
"""How long to wait for the file of the episode a request names; the recorder closes it within 2 s."""


@dataclass(frozen=True, kw_only=True)
class LearnerJob(Checked):
    """What the process is told, as one JSON object on its command line."""

    policy_folder: str = text(doc="whose encoder and head it goes on from")
    run_folder: str = text(doc="episodes are read from here, heads written under models/")
    more_folders: tuple[str, ...] = text((), doc="runs of other robots, read as this one is")
    demos_folder: str = text("", doc="run with demonstrations to keep learning from; blank: an agent's own")
    cameras: tuple[str, ...] = text(("front",), doc="of the observation spec")
    height_px: int = num(96, low=16, high=512, doc="of the observation spec")
    width_px: int = num(96, low=16, high=512, doc="of the observation spec")
    rate_hz: float = num(5.0, low=5.0, high=50.0, doc="of the action spec")
    recipe: str = choice("bc", of=("bc", "online"), doc="how the head is refitted")
    updates: int = num(300, low=1, high=1_000_000, doc="gradient steps per refit")
    batch: int = num(128, low=2, high=4096, doc="rows per gradient step")
    learning_rate: float = num(3e-4, low=1e-6, high=1e-1, doc="step size of the optimiser")
    prior_folder: str = text("", doc="online: run with episodes of other tasks the agent was trained on, too")
    utd: int = num(AS_TRAINED, low=AS_TRAINED, high=100, doc="online: updates owed per control step; -1: as trained")
    failures: int = num(
        AS_TRAINED, low=AS_TRAINED, high=100_000, doc="online: failures in a row that teach; 0: all; -1: as trained"
    )
    device: str = choice("cpu", of=("cpu", "cuda"), doc="online: where it learns")
    carries: bool = text(False, doc="online: whether the task is of a loose thing, as `task.carries`")
    rows: int = num(200_000, low=100, high=100_000_000, doc="online: steps of practice kept")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of batches and noise")
    pause_unknown: int = num(3, low=1, high=1000, doc="no refit after so many last steps of unknown reward")
    nice: int = num(10, low=0, high=19, doc="how far to step back for control")
    memory_mb: int = num(8192, low=1024, high=1_048_576, doc="address space")

    @property
    def action(self) -> ActionSpec:
        return ActionSpec(rate_hz=self.rate_hz)

    @property
    def observation(self) -> ObservationSpec:
        return ObservationSpec(cameras=self.cameras, height_px=self.height_px, width_px=self.width_px)

    @property
    def run(self) -> Path:
        return Path(self.run_folder)

    @property
    def runs(self) -> tuple[Path, ...]:
        """All that is practised, this run first."""
        return (self.run, *map(Path, self.more_folders))


def offer_of(folder: Path, manifest: Manifest, **metrics: Any) -> dict[str, Any]:
    """Return what is told of a head that is ready."""
    digest = file_digest(folder / MANIFEST)
    return {"version": manifest.version, "folder": str(folder.resolve()), "manifest_digest": digest, **metrics}


class Pupil(ABC):
    """What both recipes share: it reads a run's episodes, and tells what happens line by line."""

    def __init__(self, job: LearnerJob, out: TextIO) -> None:
        self.job, self._out = job, out

    def tell(self, event: str, **values: Any) -> None:
        """Write one line."""
        self._out.write(json.dumps({"event": event, **values}) + "\n")
        self._out.flush()

    def tell_offer(self, folder: Path, manifest: Manifest, **metrics: Any) -> None:
        """Tell of a head that is ready."""
        self.tell("offer", **offer_of(folder, manifest, **metrics))

    def standing(self) -> dict[str, Any]:
        """Return the head to be offered when it is ready, as ``offer_of`` does; nothing for none."""
        return {}

    def about(self, episode_id: str) -> dict[str, Any]:
        """Return where a head comes from, for its manifest."""
        return {"recipe": self.job.recipe, "seed": self.job.seed, "run": self.job.run.name, "after": episode_id}

    def await_file(self, episode_id: str) -> None:
        """Wait until the recorder has made an episode's file whole."""
        wanted = [run / "episodes" / f"{episode_id}.mcap" for run in self.job.runs]
        end_s = time.monotonic() + EPISODE_FILE_S
        while episode_id and not any(path.exists() for path in wanted) and time.monotonic() < end_s:
            time.sleep(0.05)

    def paths(self) -> list[Path]:
        """Return the finished episodes of all runs that were not dropped, run by run, oldest first.

        Raises:
            ConfigError: when two runs have an episode of one name: it would be learnt from once.
        """
        found = [path for run in self.job.runs for path in kept_paths(run)]
        if double := [stem for stem, count in Counter(path.stem for path in found).items() if count > 1]:
            raise ConfigError(f"{double[0]}: two runs have an episode of this name; give them other experiment.name's")
        return found

    def why_pause(self, newest: Episode) -> str:
        """Return why nothing is learnt after an episode of practice: the reward model cannot say (F46); or blank."""
        if (count := unjudged(newest)) < self.job.pause_unknown:
            return ""
        return f"learning pauses: the last {count} steps have no known reward; see why reward_node cannot say"

    @abstractmethod
    def gather(self) -> None:
        """Read what is finished."""

    @abstractmethod
    def refit(self, episode_id: str) -> None:
        """Learn from all that is finished, that episode included, and tell what came of it."""


def unjudged(episode: Episode) -> int:
    """Return how many of the newest steps, up to where an episode of practice ended, have no known reward.

    None when it succeeded: the reward model said so.
    """
    if episode.outcome == SUCCESS:
        return 0
    known = np.flatnonzero(episode.verdicts[: episode.end_step + 1] != Verdict.UNKNOWN)
    return episode.end_step - int(known[-1] if len(known) else -1)
